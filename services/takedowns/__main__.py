"""`python -m services.takedowns` runs the service; with a command it is the operator's tool."""

import sys

from libs.common.process import run
from services.takedowns.app import build
from services.takedowns.cli import main

if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(main(sys.argv[1:]))
    run("takedowns", build)
