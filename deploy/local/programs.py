"""Where the programs of the three servers are on this machine, and what to install when one is missing.

Nothing is installed here: that is `bootstrap.py`, which shares this file and therefore keeps to the standard library.
"""

import functools
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# program -> folders to look in besides PATH (Debian, Ubuntu, Homebrew on both kinds of Mac), newest version first
_PLACES: Final = {
    "postgres": ("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin"),
    "initdb": ("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin"),
    "redis-server": ("/usr/bin", "/opt/homebrew/bin", "/usr/local/bin"),
    "rabbitmq-server": ("/usr/lib/rabbitmq/bin", "/opt/homebrew/opt/rabbitmq/sbin", "/usr/local/opt/rabbitmq/sbin"),
    "epmd": ("/usr/bin", "/usr/lib/erlang/erts-*/bin", "/opt/homebrew/bin", "/usr/local/bin"),
}
_PACKAGE: Final = {
    "postgres": "postgresql",
    "initdb": "postgresql",
    "redis-server": "redis-server",
    "rabbitmq-server": "rabbitmq-server",
    "epmd": "rabbitmq-server",
}
# What tests use besides the servers: package -> one of these files, or programs in PATH, is enough.
_TEST_TOOLS: Final = {
    "curl": ("curl",),
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "libfaketime": ("/usr/lib/*/faketime/libfaketimeMT.so.1",),
}
_BREW: Final = {"postgresql": "postgresql@16", "redis-server": "redis", "rabbitmq-server": "rabbitmq"}
# Debian's /usr/sbin/rabbitmq-server is a wrapper that insists on its own user; the script behind it does not.
_NOT_FROM_PATH: Final = frozenset({"rabbitmq-server"})


class MissingProgramsError(Exception):
    """A server's program is not installed. The message is one line with the command that installs what is missing."""

    def __init__(self, packages: list[str]) -> None:
        self.packages = packages
        super().__init__(f"missing servers; install them with: {install_command(packages)}")


@dataclass(frozen=True, slots=True)
class Programs:
    """Absolute paths of what the private servers run."""

    postgres: Path
    initdb: Path
    redis_server: Path
    rabbitmq_server: Path
    epmd: Path


def find_programs() -> Programs:
    """Look in PATH and in the usual folders. Raises MissingProgramsError naming every missing package at once."""
    found = {name: _find(name) for name in _PLACES}
    missing = sorted({_PACKAGE[name] for name, path in found.items() if path is None})
    if missing:
        raise MissingProgramsError(missing)
    return Programs(**{name.replace("-", "_"): path for name, path in found.items() if path is not None})


def missing_test_tools() -> list[str]:
    """Packages whose tests would be skipped here."""
    return sorted(package for package, names in _TEST_TOOLS.items() if not any(_is_there(name) for name in names))


def _is_there(name: str) -> bool:
    return any(Path("/").glob(name[1:])) if name.startswith("/") else shutil.which(name) is not None


def install_command(packages: list[str]) -> str:
    """The one command an administrator types to install `packages` (Debian names)."""
    if sys.platform == "darwin":
        return "brew install " + " ".join(_BREW.get(name, name) for name in packages)
    sudo = "" if os.geteuid() == 0 else "sudo "
    return f"{sudo}apt-get install -y {' '.join(packages)}"


def _find(name: str) -> Path | None:
    # PATH first: it is how a person points at another version.
    if name not in _NOT_FROM_PATH and (found := shutil.which(name)):
        return Path(found)  # as it is: redis-server is a link whose name decides what the program does
    for place in _PLACES[name]:
        matches = sorted(Path("/").glob(f"{place[1:]}/{name}"), reverse=True)
        for path in matches:
            if os.access(path, os.X_OK):
                return path
    return None


@functools.cache
def user_namespaces_work() -> bool:
    """Whether root may become another user by `unshare`: not in a chroot, and not under many containers' seccomp."""
    if shutil.which("unshare") is None:
        return False
    probe = [*UNSHARE, "true"]
    return subprocess.run(probe, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=10).returncode == 0


# PostgreSQL refuses to run as root. Mapped to another number in a namespace of its own it runs, below any folder.
UNSHARE: Final = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
