"""`python -m services.takedowns` is the service."""

from libs.common.process import run
from services.takedowns.app import build

if __name__ == "__main__":
    run("takedowns", build)
