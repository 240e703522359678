"""What an account of the sandbox shows and does: one module per part of a platform, all pure functions over an `Account`."""
