"""The house keeps its rules: import contracts really catch a violation, every service has the same rooms and a README
with the same headings, every query is used, every setting is documented.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from libs.common import settings

ROOT = Path(__file__).resolve().parents[2]
SERVICES = sorted(path.parent.name for path in ROOT.glob("services/*/app.py"))
ROOMS = {"entry", "usecases", "domain", "store", "gateways", "migrations"}
README_HEADINGS = ("Owns", "Takes", "Gives", "What one lost process costs", "Failure modes")

# contract name -> file that breaks it (appended to what is there)
PLANTED = {
    "Services meet only in the contracts": (
        "services/auth/entry/planted.py",
        "import services.billing.domain.ledger",
    ),
    "Services use the library, never the other way round": (
        "libs/common/db/planted.py",
        "import services.auth.domain.key",
    ),
    "Rooms of a service": ("services/auth/domain/planted.py", "import services.auth.store.postgres"),
    "Store and gateways implement ports; they do not call use cases": (
        "services/auth/store/planted.py",
        "import services.auth.usecases.resolve_key",
    ),
    "Rules and use cases know ports, not machines": ("services/edge/usecases/planted.py", "import asyncpg"),
    "AMQP lives in the bus library only": ("services/edge/gateways/planted.py", "import aio_pika"),
    "SQL and Redis live in the store only": ("services/billing/entry/planted.py", "import asyncpg"),
    "HTTP lives in entry and gateways only": ("services/sessions/store/planted.py", "import aiohttp"),
    "Layers of the library": ("libs/common/contracts/planted.py", "import libs.common.bus.topology"),
}


def lint_imports(tree: Path) -> str:
    program = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([program, "--no-cache"], cwd=tree, capture_output=True, text=True, check=False)
    return done.stdout


def test_every_import_contract_catches_its_violation(tmp_path: Path) -> None:
    # given a copy of the tree with one violation of each contract
    for part in ("libs", "services"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for file, line in PLANTED.values():
        path = tmp_path / file
        path.write_text(line + "\n", encoding="utf-8")

    report = lint_imports(tmp_path)

    kept = [name for name in PLANTED if not re.search(re.escape(name) + r"\s+BROKEN", report)]
    assert not kept, report


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_the_same_rooms_and_none_is_empty(service: str) -> None:
    folders = {p.name for p in (ROOT / "services" / service).iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert folders - {"sandbox"} <= ROOMS
    for room in folders:
        files = [p for p in (ROOT / "services" / service / room).rglob("*") if p.is_file() and p.name != "__init__.py"]
        assert files, f"{room} is empty"
    for file in ("README.md", "__main__.py", "app.py", "settings.py"):
        assert (ROOT / "services" / service / file).is_file()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_readme_has_the_named_headings(service: str) -> None:
    text = (ROOT / "services" / service / "README.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    assert [heading for heading in README_HEADINGS if heading not in headings] == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    refused = {"utils", "helpers", "manager", "base"}
    found = [p for part in ("libs", "services", "deploy") for p in (ROOT / part).rglob("*.py") if p.stem in refused]
    assert found == []


@pytest.mark.parametrize("queries", sorted(ROOT.glob("services/*/store/queries.sql")), ids=lambda p: p.parts[-3])
def test_every_named_query_is_used_and_says_what_for(queries: Path) -> None:
    code = "".join(p.read_text(encoding="utf-8") for p in queries.parent.glob("*.py"))
    blocks = re.findall(r"^-- name: (\w+)\n(.*)$", queries.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert blocks
    assert [name for name, _ in blocks if not re.search(rf"\.{name}\b", code)] == []
    assert [name for name, purpose in blocks if not purpose.startswith("-- ")] == []


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert [name for name in sorted(settings.KNOWN) if f"`FANGATE_{name}`" not in text] == []
