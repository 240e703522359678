"""What a fresh machine needs before anything else runs: `python3 -m deploy.local.bootstrap venv|servers|tools`.

Standard library only: it makes the virtual environment that everything else runs in. Where it may not install, it prints
the one line that says what an administrator has to do, and exits with 2. It asks nothing and starts no system service.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
VENV: Final = ROOT / ".venv"
LOCK: Final = ROOT / "requirements" / "dev.txt"
LOG: Final = ROOT / ".run" / "bootstrap.log"
PYTHON_MIN: Final = (3, 11)
_GIVEN: Final = ("FANGATE_POSTGRES_DSN", "FANGATE_REDIS_URL", "FANGATE_AMQP_URL")
_SUDO_SECONDS_MAX: Final = 5

# Debian starts a service as soon as its package is unpacked, unless this file says no. It goes with the script, and one
# that was there before stays.
_APT: Final = """
set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\\nexit 101\\n' > "$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
install() { apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"; }
if ls /var/lib/apt/lists/*_Packages* > /dev/null 2>&1 && install "$@"; then exit 0; fi
apt-get update
install "$@"
"""


class CannotInstallError(Exception):
    """Something is missing that we may not, or could not, install. The message is the one line to print."""


def main(argv: Sequence[str]) -> int:
    """Exit status 0 when all is there, 2 with one line when it is not."""
    steps = {"venv": make_venv, "servers": install_servers, "tools": install_test_tools}
    if len(argv) != 1 or argv[0] not in steps:
        print("usage: python3 -m deploy.local.bootstrap venv|servers|tools", file=sys.stderr)
        return 2
    try:
        steps[argv[0]]()
    except CannotInstallError as exc:
        print(exc, file=sys.stderr)
        return 2
    return 0


def make_venv() -> None:
    """`.venv` with exactly what the lock file says; nothing to do if it was made from this lock by this Python."""
    if sys.version_info < PYTHON_MIN:
        wanted = ".".join(map(str, PYTHON_MIN))
        raise CannotInstallError(
            f"Python {wanted} or newer is needed, this is {sys.version.split()[0]}; choose with PYTHON=…"
        )
    python, stamp = VENV / "bin" / "python", VENV / ".made-from"
    version = sys.version.split()[0]
    made_from = f"{version} {hashlib.sha256(LOCK.read_bytes()).hexdigest()}\n"
    before = stamp.read_text(encoding="ascii") if stamp.exists() else ""
    is_usable = _works(python) and before.partition(" ")[0] in {version, ""}
    if is_usable and before == made_from:
        return
    if not is_usable:
        if importlib.util.find_spec("ensurepip") is None:
            install(["python3-venv"])
        _run([sys.executable, "-m", "venv", "--clear", VENV], "could not make .venv")
    print("installing the locked packages into .venv", flush=True)
    _run(
        [
            python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input",
            "--root-user-action=ignore", "--require-hashes", "-r", LOCK,
        ],
        "could not install the locked packages",
    )  # fmt: skip
    stamp.write_text(made_from, encoding="ascii")


def install_servers() -> None:
    """PostgreSQL, Redis and RabbitMQ, unless they are there, or others are given."""
    if all(os.environ.get(name) for name in _GIVEN):
        return
    from deploy.local.programs import MissingProgramsError, find_programs

    try:
        find_programs()
    except MissingProgramsError as exc:
        install(exc.packages)
        try:
            find_programs()
        except MissingProgramsError as still:
            raise CannotInstallError(str(still)) from None


def install_test_tools() -> None:
    """What only tests use. Where it cannot be installed those tests are skipped, and say so: that is no reason to stop."""
    from deploy.local.programs import missing_test_tools

    for package in missing_test_tools():
        try:
            install([package])
        except CannotInstallError as exc:
            print(f"some tests will be skipped: {exc}", file=sys.stderr)


def install(packages: list[str]) -> None:
    """Install Debian packages (or what Homebrew calls them). Raises CannotInstallError with the command for a person."""
    from deploy.local.programs import install_command

    command = install_command(packages)
    if sys.platform == "darwin" and shutil.which("brew"):
        script = command.split()
    elif shutil.which("apt-get") and (as_root := _as_root()) is not None:
        script = [*as_root, "sh", "-c", _APT, "install", *packages]
    else:
        raise CannotInstallError(f"missing: {', '.join(packages)}; an administrator installs them with: {command}")
    print(f"installing what is missing: {' '.join(packages)}", flush=True)
    _run(script, f"could not install {', '.join(packages)}; try yourself: {command}")


def _as_root() -> list[str] | None:
    """What to put in front of a command to run it as root, without asking anything; None if that is not possible."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") is None:
        return None
    probe = subprocess.run(
        ["sudo", "-n", "true"], capture_output=True, stdin=subprocess.DEVNULL, check=False, timeout=_SUDO_SECONDS_MAX
    )
    return ["sudo", "-n"] if probe.returncode == 0 else None


def _works(python: Path) -> bool:
    """Whether the environment's interpreter runs and has pip: an interrupted start leaves one without."""
    if not python.exists():
        return False
    probe = [str(python), "-c", "import pip"]
    return subprocess.run(probe, capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode == 0


def _run(command: Sequence[object], complaint: str) -> None:
    """Run it, its output in `.run/bootstrap.log`. Raises CannotInstallError with the complaint and the last line of it."""
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("ab") as log:
        done = subprocess.run(
            [str(part) for part in command], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
        )
    if done.returncode != 0:
        lines = LOG.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [""]
        raise CannotInstallError(f"{complaint} ({lines[-1].strip()}; see {LOG})")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
