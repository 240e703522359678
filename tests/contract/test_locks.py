"""What we depend on is pinned and hashed, the same for everybody, from wherever a machine gets its packages."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.profile import ROOT

REQUIREMENTS = ROOT / "requirements"
LOCKS = sorted(REQUIREMENTS.glob("*.txt"))
REGISTRY_HOST = re.compile(r"//[a-z0-9.-]*(py(pi|thonhosted)|debian|npmjs)[a-z0-9-]*\.[a-z]", re.IGNORECASE)
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)(\[[a-z,]+\])?==([^ ;\\]+)", re.MULTILINE)
NOT_OURS = {".git", ".venv", ".run", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}


def files_of_the_tree() -> list[Path]:
    found: list[Path] = []
    folders = [ROOT]
    for folder in folders:
        for path in folder.iterdir():
            if path.name in NOT_OURS or path.is_symlink():
                continue
            (folders if path.is_dir() else found).append(path)
    return found


def pins(lock: Path) -> dict[str, str]:
    return {name: version for name, _, version in PIN.findall(lock.read_text(encoding="utf-8"))}


def test_no_file_names_a_package_registry() -> None:
    texts = {path: path.read_text(encoding="utf-8", errors="ignore") for path in files_of_the_tree()}
    assert [str(path) for path, text in texts.items() if REGISTRY_HOST.search(text)] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_requirement_is_pinned_and_hashed(lock: Path) -> None:
    text = re.sub(r"\\\n\s*", " ", lock.read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert lines
    assert [line for line in lines if not PIN.match(line) or "--hash=sha256:" not in line] == []
    assert [line for line in lines if re.search(r"--(index|extra-index|find-links|trusted-host)", line)] == []


def test_what_runs_in_production_is_what_is_tested() -> None:
    tested = pins(REQUIREMENTS / "dev.txt")
    assert {name: tested.get(name) for name in pins(REQUIREMENTS / "runtime.txt")} == pins(REQUIREMENTS / "runtime.txt")


def test_pip_takes_the_lock_with_its_hashes() -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--quiet",
        "--disable-pip-version-check",
        "--no-index",
    ]
    done = subprocess.run(
        [*command, "--require-hashes", "-r", REQUIREMENTS / "dev.txt"],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
