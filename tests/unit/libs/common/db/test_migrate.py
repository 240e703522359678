"""The order of migration files, and the names they may have."""

from pathlib import Path

import pytest

from libs.common.db.migrate import migrations_of, services_with_migrations


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "probe" / "migrations"
    folder.mkdir(parents=True)
    (folder / "0002_add_b.sql").write_text("SELECT 2;")
    (folder / "0001_add_a.sql").write_text("SELECT '{service}';")
    (tmp_path / "idle" / "migrations").mkdir(parents=True)
    return tmp_path


def test_the_librarys_files_come_first_then_the_services_own_in_order(root: Path) -> None:
    names = [migration.name for migration in migrations_of("probe", root)]
    assert names == ["common/0001_create_inbox", "common/0002_create_outbox", "0001_add_a", "0002_add_b"]


def test_the_services_name_is_filled_into_the_librarys_files_only(root: Path) -> None:
    inbox, *_, own, _last = migrations_of("probe", root)
    assert "probe_app" in inbox.sql
    assert "{service}" not in inbox.sql
    assert own.sql == "SELECT '{service}';"


def test_a_service_without_files_keeps_no_tables(root: Path) -> None:
    assert services_with_migrations(root) == ["probe"]


@pytest.mark.parametrize("name", ["1_add_c.sql", "0003-add-c.sql", "0003_AddC.sql", "0002_other.sql"])
def test_a_file_without_a_place_in_the_order_is_refused(root: Path, name: str) -> None:
    (root / "probe" / "migrations" / name).write_text("SELECT 3;")
    with pytest.raises(ValueError, match="migration"):
        migrations_of("probe", root)


def test_a_digest_follows_the_text(root: Path) -> None:
    before = migrations_of("probe", root)[-1].digest
    (root / "probe" / "migrations" / "0002_add_b.sql").write_text("SELECT 22;")
    assert migrations_of("probe", root)[-1].digest != before
