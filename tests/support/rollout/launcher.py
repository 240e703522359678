"""`python -m tests.support.rollout.launcher`: the launcher of `make run`, whose processes may each run another release, and get
their rings of keys as files, as in production.

What a process runs is read from a file of its own whenever it is started, also after its end.
"""

import os
import sys
from pathlib import Path
from typing import Final

from deploy.local.__main__ import main
from deploy.local.environment import Environment
from deploy.local.profile import write_private

FOLDER: Final = "ROLLOUT_FOLDER"  # the environment variable that says where the files are
RINGS: Final = (
    "FANGATE_KEY_PEPPERS",
    "FANGATE_VAULT_KEYS",
    "FANGATE_FORM_KEYS",
    "FANGATE_WEBHOOK_KEYS",
    "FANGATE_PASSWORD_KEYS",
)
_of = Environment.of


def release_file(folder: Path, instance: str) -> Path:
    """Holds the folder of the code that a process runs; no file: this tree."""
    return folder / "releases" / instance


def ring_file(folder: Path, ring: str) -> Path:
    """Holds a ring of keys, for every process that reads it."""
    return folder / "rings" / ring


def _of_release(self: Environment, instance: str) -> dict[str, str]:
    folder, env = Path(os.environ[FOLDER]), _of(self, instance)
    for ring in RINGS:
        if (first := env.pop(ring, None)) is not None:
            path = ring_file(folder, ring)
            if not path.exists():
                write_private(path, first)
            env[f"{ring}_FILE"] = str(path)
    chosen = release_file(folder, instance)
    if chosen.exists():
        # The current folder, this tree, would come first otherwise.
        env |= {"PYTHONSAFEPATH": "1", "PYTHONPATH": chosen.read_text(encoding="utf-8")}
    return env


if __name__ == "__main__":
    Environment.of = _of_release  # type: ignore[method-assign]
    sys.exit(main(sys.argv[1:]))
