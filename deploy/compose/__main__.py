"""`python -m deploy.compose prepare|up|demo|down`: the system in containers on this machine's Docker."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence

from deploy.compose.secrets import prepare
from deploy.compose.system import installed
from deploy.docker.images import APP
from deploy.documents import ROOT
from deploy.local.children import ChildFailedError
from deploy.local.profile import Profile

_USAGE = "usage: python -m deploy.compose prepare|up|demo|down"


def main(argv: Sequence[str]) -> int:
    """Exit status 0, 1 when something failed, 2 for a wrong command."""
    if len(argv) != 1 or argv[0] not in {"prepare", "up", "demo", "down"}:
        print(_USAGE, file=sys.stderr)
        return 2
    try:
        _do(argv[0])
    except (ChildFailedError, subprocess.SubprocessError) as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


def _do(command: str) -> None:
    if command == "prepare":
        print(f"secrets are in {prepare(Profile('compose'))}")
        return
    containers = installed()
    if command == "up":
        build = ["docker", "build", "-f", "deploy/docker/Dockerfile", "-t", APP, "."]
        subprocess.run(build, cwd=ROOT, env={**os.environ, "DOCKER_BUILDKIT": "1"}, check=True)
        containers.up()
    if command in {"up", "demo"}:
        asyncio.run(containers.demonstrate(print))
    if command == "down":
        containers.down()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
