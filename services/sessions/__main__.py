"""`python -m services.sessions` is the service; with a command behind it, the operator's command line."""

import sys

from libs.common.process import run
from services.sessions.app import build
from services.sessions.cli import main

if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(main(sys.argv[1:]))
    run("sessions", build)
