"""`python -m services.auth` is the service; with a command behind it, the operator's command line."""

import sys

from libs.common.process import run
from services.auth.app import build
from services.auth.cli import main

if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(main(sys.argv[1:]))
    run("auth", build)
