"""Releases to run beside this tree: the next one, made here, and a past one out of git's history where there is any.

The next release does to its neighbours what a real one may: its migrations add a column to every table, and everything it
says on the bus has members, at every depth, that no reader of today knows. So this tree is the old code of the rollout.
"""

import io
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Final

from deploy.local.profile import ROOT
from libs.common.db.migrate import migrations_of, services_with_migrations

CODE: Final = ("libs", "services")
NEXT: Final = "next"  # what the next release says its version is

_EXPAND: Final = "ALTER TABLE {table} ADD COLUMN of_the_next_release text;\n"  # a file per table, as the rule is
_TABLE: Final = re.compile(
    r"^CREATE TABLE (?:IF NOT EXISTS )?(?:\{service\}\.|[a-z]+\.)?([a-z_]+)\b(?!.*PARTITION OF)", re.MULTILINE
)

_LATER: Final = Path(__file__).with_name("later.py")
# file -> what is said otherwise in the next release
_CHANGES: Final = {
    "libs/common/contracts/wire.py": ("raw = msgspec.json.encode(body)", "raw = later.encode(body)"),
    "libs/common/bus/rpc.py": ("raw = msgspec.json.encode(request)", "raw = later.encode(request)"),
    "libs/common/bus/rpc_server.py": ("raw = msgspec.json.encode(message)", "raw = later.encode(message)"),
    "libs/common/process.py": ('return "dev"', f'return "{NEXT}"'),
}
_HEADS: Final = ("encode_head: Final = msgspec.json.Encoder().encode", "encode_head: Final = later.encode")


class NoHistoryError(Exception):
    """The past release is not in this clone."""


def next_release(folder: Path) -> Path:
    """Make the next release in `folder`."""
    for name in CODE:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(_LATER, folder / "libs/common/contracts/later.py")
    for path, (before, after) in {**_CHANGES, "libs/common/bus/frames.py": _HEADS}.items():
        text = (folder / path).read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{path} does not say {before!r} once: the next release must be made otherwise"
        text = text.replace(before, after)
        if "later." in after:
            text = re.sub(
                r"^from libs\.",
                "from libs.common.contracts import later\nfrom libs.",
                text,
                count=1,
                flags=re.MULTILINE,
            )
        (folder / path).write_text(text, encoding="utf-8")
    for service in services_with_migrations():
        for number, table in enumerate(_tables(service)):
            expand = folder / "services" / service / "migrations" / f"{9000 + number}_expand_{table}.sql"
            expand.write_text(_EXPAND.replace("{table}", table), encoding="utf-8")
    return folder


def _tables(service: str) -> list[str]:
    """Every table that the migrations of a service make."""
    tables = [table for migration in migrations_of(service) for table in _TABLE.findall(migration.sql)]
    assert len(tables) > 1, f"no tables found in the migrations of {service}"
    return tables


def past_release(folder: Path, revision: str) -> Path:
    """Unpack the code of a commit into `folder`. Raises NoHistoryError."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), "archive", revision, *CODE], capture_output=True, check=False, timeout=60
    )
    if done.returncode != 0:
        raise NoHistoryError(f"git has no {revision} here: {done.stderr.decode(errors='replace').strip()}")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder
