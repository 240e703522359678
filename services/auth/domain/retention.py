"""How long auth keeps what it does not need for ever (docs/data.md has the whole list)."""

from datetime import timedelta
from typing import Final

SINGLE_CALLS: Final = timedelta(days=90)  # of users' keys, one by one
VERSION_CALLS: Final = timedelta(days=400)  # counts by day: a year to look back on, when a version ends
REMOVED_USERS: Final = timedelta(days=30)  # their e-mail; the id stays, the audit log names it
INVITATIONS: Final = timedelta(days=30)  # after the end of a link
