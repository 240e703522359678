"""Tests in several processes: whoever must be alone is, nobody is shut out for long, and there is one system."""

import contextlib
import threading
from collections import OrderedDict
from pathlib import Path
from unittest.mock import Mock

import pytest

from tests.support.neighbours import WHOLE_SYSTEM, BySystem, Room

SECONDS_MAX = 20.0


class Tests:
    """One process' tests, entered in a thread: two rooms over the same files are two processes' to the kernel."""

    __test__ = False

    def __init__(self, folder: Path, *, alone: bool) -> None:
        self._room, self._alone = Room(folder), alone
        self._may_end, self.inside = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with self._room.entered(alone=self._alone, stay=False):
            self.inside.set()
            self._may_end.wait(SECONDS_MAX)
        self._room.close()

    def end(self) -> None:
        self._may_end.set()
        self._thread.join(SECONDS_MAX)
        assert not self._thread.is_alive()


def test_many_are_inside_at_a_time(tmp_path: Path) -> None:
    both = [Tests(tmp_path, alone=False), Tests(tmp_path, alone=False)]
    assert [one.inside.wait(SECONDS_MAX) for one in both] == [True, True]
    for one in both:
        one.end()


def test_nobody_comes_in_beside_one_that_is_alone(tmp_path: Path) -> None:
    alone = Tests(tmp_path, alone=True)
    assert alone.inside.wait(SECONDS_MAX)
    others = [Tests(tmp_path, alone=False), Tests(tmp_path, alone=True)]
    assert [other.inside.wait(0.2) for other in others] == [False, False]
    alone.end()
    for other in others:
        other._may_end.set()
    assert [other.inside.wait(SECONDS_MAX) for other in others] == [True, True]
    for other in others:
        other.end()


def test_whoever_waits_to_be_alone_is_not_overtaken(tmp_path: Path) -> None:
    first = Tests(tmp_path, alone=False)
    assert first.inside.wait(SECONDS_MAX)
    alone = Tests(tmp_path, alone=True)
    assert not alone.inside.wait(0.2)
    late = Tests(tmp_path, alone=False)
    assert not late.inside.wait(0.2)

    first.end()

    assert alone.inside.wait(SECONDS_MAX)
    assert not late.inside.is_set()
    alone.end()
    assert late.inside.wait(SECONDS_MAX)
    late.end()


def test_one_that_was_alone_keeps_the_room_for_the_next_such(tmp_path: Path) -> None:
    with contextlib.closing(Room(tmp_path)) as room:
        with room.entered(alone=True, stay=True):
            pass
        other = Tests(tmp_path, alone=False)
        assert not other.inside.wait(0.2)
        with room.entered(alone=True, stay=False):
            assert not other.inside.is_set()
    assert other.inside.wait(SECONDS_MAX)
    other.end()


@pytest.mark.parametrize(
    ("nodeid", "unit"),
    [
        ("tests/e2e/gateway/keys_list/test_200.py::test_it[a::b]", WHOLE_SYSTEM),
        ("tests/load/test_day_smoke.py::test_it", WHOLE_SYSTEM),
        ("tests/fault/test_key_rotation.py::test_it", "tests/fault/test_key_rotation.py"),
        ("tests/unit/test_a.py::TestB::test_it", "tests/unit/test_a.py"),
    ],
)
def test_a_unit_of_work_is_a_file_or_all_of_the_one_system(nodeid: str, unit: str) -> None:
    assert a_scheduler()._split_scope(nodeid) == unit


def test_what_takes_long_is_dealt_out_first_and_what_must_be_alone_last() -> None:
    lonely = "tests/integration/edge/test_outages.py"
    units = [
        lonely,
        "tests/unit/a.py",
        "tests/contract/b.py",
        "tests/fault/c.py",
        WHOLE_SYSTEM,
        "tests/integration/d.py",
    ]
    scheduler = a_scheduler()
    scheduler.workqueue = OrderedDict((unit, {}) for unit in units)
    node = Mock(spec=["send_runtest_some"])  # a process of xdist's
    scheduler.registered_collections[node] = []
    for _ in units:
        scheduler._assign_work_unit(node)
    assert list(scheduler.assigned_work[node]) == [
        WHOLE_SYSTEM, "tests/fault/c.py", "tests/integration/d.py", "tests/contract/b.py", "tests/unit/a.py",
        lonely,
    ]  # fmt: skip


def a_scheduler() -> BySystem:
    scheduler = BySystem.__new__(BySystem)
    scheduler.assigned_work, scheduler.registered_collections = {}, {}
    return scheduler
