"""`python -m tests.support.takedowns_launcher`: the launcher of `make run`, whose takedowns lives in a world that a test made."""

import os
import sys

from deploy.local import services
from deploy.local.__main__ import main
from deploy.local.environment import Environment
from tests.support.takedowns_process import VARIABLE

_of = Environment.of


def _with_world(self: Environment, instance: str) -> dict[str, str]:
    more = {VARIABLE: os.environ[VARIABLE]} if instance == "takedowns" else {}
    return {**_of(self, instance), **more}


if __name__ == "__main__":
    Environment.of = _with_world  # type: ignore[method-assign]
    services._MODULES["takedowns"] = "tests.support.takedowns_process"
    sys.exit(main(sys.argv[1:]))
