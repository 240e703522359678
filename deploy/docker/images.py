"""The images of a check: ours, and those it stands on; the latter pulled where a registry answers, else built from Debian's
packages (`standins/`).
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from deploy.docker.daemon import FOLDER, Daemon
from deploy.documents import ROOT
from deploy.tools import ToolMissingError, fetch, find

APP: Final = "fangate:dev"
BASE: Final = "debian:bookworm-slim"
_STANDINS: Final = ROOT / "deploy" / "docker" / "standins"
_PULL_SECONDS_MAX: Final = 120.0
_BUILD_SECONDS_MAX: Final = 300.0
_SUITE: Final = "bookworm"
_CA: Final = Path("/etc/ssl/certs/ca-certificates.crt")
_PIP_FILES: Final = (Path("/etc/pip.conf"),)

POSTGRES: Final = "postgres:17"
VALKEY: Final = "valkey/valkey:8"
RABBITMQ: Final = "rabbitmq:4-management"
# the real image -> the stand-in's Dockerfile
IMAGES: Final = {
    "python:3.13-slim": "python",
    POSTGRES: "postgres",
    VALKEY: "valkey",
    RABBITMQ: "rabbitmq",
    "prom/prometheus:v3.5.0": "prometheus",
}


class ImageError(Exception):
    """An image could not be made; the message has the end of what the builder said."""


class NoImagesError(ImageError):
    """There is nothing to build on: neither a registry, nor what stand-ins are made with."""


def prepare(daemon: Daemon, say: Callable[[str], None]) -> list[str]:
    """Pull or build everything; the names of the images that are stand-ins. Raises ImageError, NoImagesError."""
    standins: list[str] = []
    for image, name in IMAGES.items():
        if not standins and _pull(daemon, image):
            continue
        if not standins:
            say("no registry answers: building stand-ins from Debian's packages")
            _timed(say, BASE, partial(_make_base, daemon))
        standins.append(image)
        _timed(say, f"{image} (stand-in)", partial(_build_standin, daemon, image, name))
    _timed(say, APP, partial(build, daemon, APP))
    return standins


def build(daemon: Daemon, tag: str, *, version: str = "dev") -> None:
    """Build our image. Raises ImageError."""
    dockerfile = ROOT / "deploy" / "docker" / "Dockerfile"
    _build(daemon, "-f", dockerfile, "--build-arg", f"VERSION={version}", "-t", tag, ROOT)


def _pull(daemon: Daemon, image: str) -> bool:
    try:
        return daemon.run("pull", "-q", image, check=False, timeout_s=_PULL_SECONDS_MAX).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _make_base(daemon: Daemon) -> None:
    """A minimal Debian, with the machine's certificates and pip settings: builds inside it reach what the machine reaches."""
    try:
        fetch("debootstrap")
    except ToolMissingError as exc:
        raise NoImagesError(f"no registry answers, and stand-ins cannot be built: {exc}") from None
    program, root = find("debootstrap", "debootstrap"), FOLDER / "rootfs"
    assert program is not None
    # Unpacked instead of installed, it finds the rest of itself by this variable.
    scripts = program.parents[1] / "share" / "debootstrap"
    done = subprocess.run(
        [program, "--variant=minbase", "--include=ca-certificates", _SUITE, str(root)],
        env={**os.environ, "DEBOOTSTRAP_DIR": str(scripts)}, capture_output=True, text=True, check=False,
        timeout=_BUILD_SECONDS_MAX,
    )  # fmt: skip
    if done.returncode != 0:
        raise ImageError(f"debootstrap failed: {done.stdout[-500:]}")
    # Packages start their services when they are configured, unless this says no.
    policy = root / "usr" / "sbin" / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    policy.chmod(0o755)
    for file in (_CA, *_PIP_FILES):
        if file.exists():
            shutil.copy(file, root / file.relative_to("/"))
    packed = subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE)
    imported = subprocess.run(
        [daemon.client, "import", "-c", f"ENV PIP_CERT={_CA} SSL_CERT_FILE={_CA}", "-", BASE], stdin=packed.stdout,
        env=dict(daemon.environment), capture_output=True, text=True, check=False, timeout=_BUILD_SECONDS_MAX,
    )  # fmt: skip
    packed.wait()
    shutil.rmtree(root)
    if imported.returncode != 0:
        raise ImageError(f"docker import failed: {imported.stderr[-500:]}")


def _build_standin(daemon: Daemon, image: str, name: str) -> None:
    _build(daemon, "-f", _STANDINS / f"{name}.Dockerfile", "-t", image, _STANDINS)


def _build(daemon: Daemon, *arguments: object) -> None:
    done = daemon.run("build", "--network", "host", *arguments, check=False, timeout_s=_BUILD_SECONDS_MAX)
    if done.returncode != 0:
        raise ImageError(f"docker build {arguments[-1]} failed:\n{done.stderr[-3000:]}")


def _timed(say: Callable[[str], None], what: str, step: Callable[[], None]) -> None:
    started = time.monotonic()
    step()
    say(f"{time.monotonic() - started:6.1f} s  {what}")
