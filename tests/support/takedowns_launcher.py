"""`python -m tests.support.takedowns_launcher`: the launcher of `make run`, whose takedowns lives in a world that a test made, or stands
still at steps that a test names. Which of the two, the test's environment says.
"""

import os
import sys
from typing import Final

from deploy.local import services
from deploy.local.__main__ import main
from deploy.local.environment import Environment
from tests.support import takedowns_process, takedowns_steps

PROGRAMS: Final = {
    takedowns_process.VARIABLE: "tests.support.takedowns_process",
    takedowns_steps.VARIABLE: "tests.support.takedowns_steps",
}
VARIABLE: Final = next(name for name in PROGRAMS if name in os.environ)

_of = Environment.of


def _with_world(self: Environment, instance: str) -> dict[str, str]:
    more = {VARIABLE: os.environ[VARIABLE]} if instance == "takedowns" else {}
    return {**_of(self, instance), **more}


if __name__ == "__main__":
    Environment.of = _with_world  # type: ignore[method-assign]
    services._MODULES["takedowns"] = PROGRAMS[VARIABLE]
    if VARIABLE == takedowns_steps.VARIABLE:
        services._CRASH_WINDOW_SECONDS = 1.0  # type: ignore[misc]  # killed again and again, it is to come back at once
    sys.exit(main(sys.argv[1:]))
