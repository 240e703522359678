"""`python -m tests.support.faults.launcher`: the launcher of `make run`, whose services have clocks that can be set apart."""

import sys

from deploy.local.__main__ import main
from deploy.local.environment import Environment
from tests.support.faults import clocks

_of = Environment.of


def _with_clock(self: Environment, instance: str) -> dict[str, str]:
    folder = clocks.folder_of_launcher()
    if not (folder / instance).exists():
        clocks.set_clock(folder, instance, 0)
    return {**_of(self, instance), **clocks.settings(folder, instance)}


if __name__ == "__main__":
    Environment.of = _with_clock  # type: ignore[method-assign]
    sys.exit(main(sys.argv[1:]))
