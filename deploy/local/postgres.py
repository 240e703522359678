"""A private PostgreSQL cluster, also where we are root, which PostgreSQL refuses to be."""

import contextlib
import hashlib
import os
import pwd
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from deploy.local.children import Child, ChildFailedError, started_at
from deploy.local.programs import UNSHARE, Programs, user_namespaces_work
from deploy.local.readiness import NotOursError

SUPERUSER: Final = "fangate"
# Half of what a crash could lose is nothing worth in tests, and costs them two thirds of their time.
_UNSAFE: Final = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
_INITDB_SECONDS_MAX: Final = 60.0
# Where what is worth nothing after the run may lie: a database there is made in a tenth of the time (930 files).
_MEMORY_DISK: Final = Path("/dev/shm")  # noqa: S108 (folders there are made 0711 and owned by the account)
_MEMORY_BYTES_MIN: Final = 6 << 30  # free, or the cluster stays on the disk


@dataclass(frozen=True, slots=True)
class Disguise:
    """How root runs PostgreSQL: a command in front, or another account and a folder that it can reach."""

    before: tuple[str, ...] = ()
    user: str | None = None


def disguise() -> Disguise:
    """Nobody but root needs one. A user namespace where the kernel grants it, else the account of the package."""
    if os.geteuid() != 0:
        return Disguise()
    if user_namespaces_work():
        return Disguise(before=UNSHARE)
    accounts = {entry.pw_name for entry in pwd.getpwall()}
    return Disguise(user="postgres" if "postgres" in accounts else "nobody")


def data_folder(folder: Path, as_: Disguise) -> Path:
    """Where the cluster lives: in `folder`, or where another account can go, for `folder` may lie below a 0700 parent; or in memory,
    if it was begun there.
    """
    in_memory = _outside(_MEMORY_DISK, folder)
    if in_memory.exists():
        return in_memory / "data"
    if as_.user is None:
        return folder / "data"
    return _outside(Path("/var/tmp"), folder) / "data"  # noqa: S108 (made 0711 and owned by the account)


def _outside(disk: Path, folder: Path) -> Path:
    """What stands for `folder` on another disk."""
    token = hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:12]
    return disk / f"fangate-{os.geteuid()}" / token


def _memory_has_room() -> bool:
    try:
        return shutil.disk_usage(_MEMORY_DISK).free >= _MEMORY_BYTES_MIN
    except OSError:
        return False


def spawn(programs: Programs, folder: Path, port: int, *, env: dict[str, str], log: Path, is_durable: bool) -> Child:
    """Start an initialized cluster; `check` tells when it is there. `is_durable=False` gives up crash safety (tests only)."""
    as_ = disguise()
    data = data_folder(folder, as_)
    # No Unix socket: its path may be 107 bytes long at most, and ours is as long as the place of the checkout.
    options = [f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=300"]
    options += [] if is_durable else _UNSAFE
    arguments = [part for option in options for part in ("-c", option)]
    command = [*as_.before, programs.postgres, "-D", data, *arguments]
    return Child.spawn("postgres", command, env=env, log=log, cwd=data.parent, user=as_.user)


async def check(port: int, folder: Path) -> None:
    """Raises NotOursError if the server on `port` does not run on the data below `folder`, a connection error if there is none."""
    connection = await asyncpg.connect(admin_dsn(port), timeout=3.0)
    try:
        answered = await connection.fetchval("SHOW data_directory")
    finally:
        await connection.close(timeout=1.0)
    if not _is_same(answered, data_folder(folder, disguise())):
        raise NotOursError(f"port {port} belongs to the cluster in {answered}")


def admin_dsn(port: int, database: str = "postgres") -> str:
    """The superuser's DSN; our clusters trust whoever can reach 127.0.0.1."""
    return f"postgresql://{SUPERUSER}@127.0.0.1:{port}/{database}"


def remove(folder: Path) -> None:
    """Delete the cluster of `folder`, wherever it lives."""
    data = data_folder(folder, disguise())
    shutil.rmtree(data.parent, ignore_errors=True)


def prepare(parent: Path, as_: Disguise) -> None:
    """Make the folder above a cluster's data, so that its account can work there. Raises ChildFailedError."""
    if as_.user is None and not parent.is_relative_to(_MEMORY_DISK):
        parent.mkdir(parents=True, exist_ok=True)
        return
    parent.parent.mkdir(mode=0o711, exist_ok=True)
    if parent.parent.is_symlink() or parent.parent.stat().st_uid != os.geteuid():
        raise ChildFailedError(f"{parent.parent} belongs to somebody else; remove it")
    parent.mkdir(mode=0o700, exist_ok=True)
    if as_.user is not None:
        shutil.chown(parent, as_.user)


async def initialize(
    programs: Programs, folder: Path, *, env: dict[str, str], log: Path, is_durable: bool = True
) -> None:
    """Make the cluster if there is none; the profile's lock must be held. `is_durable=False`: it may lie in memory, where there is
    enough. Raises ChildFailedError.
    """
    as_ = disguise()
    if not is_durable and not data_folder(folder, as_).exists() and _memory_has_room():
        prepare(_outside(_MEMORY_DISK, folder), as_)
    data = data_folder(folder, as_)
    prepare(data.parent, as_)
    if (data / "PG_VERSION").exists():
        _forget_dead_postmaster(data)
        return
    # Into a folder beside it: a half-made cluster of an interrupted start must not look like a whole one.
    fresh = data.with_name("data.new")
    shutil.rmtree(fresh, ignore_errors=True)
    locale = "C.UTF-8" if sys.platform == "linux" else "C"
    options = ["-U", SUPERUSER, "-A", "trust", "-E", "UTF8", f"--locale={locale}", "--no-sync"]
    command = [*as_.before, programs.initdb, "-D", fresh, *options]
    child = Child.spawn("initdb", command, env=env, log=log, cwd=data.parent, user=as_.user)
    try:
        if not await child.wait(_INITDB_SECONDS_MAX) or child.exit_code != 0:
            raise ChildFailedError(f"initdb failed:\n{child.tail()}")
    finally:
        await child.stop(signal.SIGKILL, grace_s=1.0)
    fresh.rename(data)


def _forget_dead_postmaster(data: Path) -> None:
    """Remove the pid file of a postmaster that was killed. PostgreSQL does so itself, but takes a process that nobody has
    waited for yet (or, in a container, ever will) for a living one.
    """
    file = data / "postmaster.pid"
    with contextlib.suppress(
        FileNotFoundError, ValueError, IndexError
    ):  # no file, or half a file: PostgreSQL's to judge
        if not started_at(int(file.read_text(encoding="utf-8").split()[0])):
            file.unlink()


def _is_same(one: str, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
