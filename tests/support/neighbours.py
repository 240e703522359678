"""Tests in several processes at once (`make test`, pytest-xdist): who goes where, and who must have the machine alone.

Each process has its own servers, and its own system where one of its tests needs one: nothing is shared but the machine.
In one process, as when a test is run by hand, nothing here has an effect.
"""

import contextlib
import fcntl
import functools
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO, Final

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from deploy.local.profile import ROOT, RUN

WHOLE_SYSTEM: Final = "the whole system"
# Where tests may ask for the one system of a run (the fixture `stack`). They go to one process, or each would start its own.
USERS_OF_THE_SYSTEM: Final = (
    "tests/e2e/", "tests/load/", "tests/fault/test_idempotent_writes.py", "tests/fault/test_sigkill_under_load.py",
)  # fmt: skip
# What takes long goes first, so that at the end no process waits for another's long test.
LONG_FIRST: Final = ("tests/fault/", "tests/integration/", "tests/contract/")


class BySystem(LoadScopeScheduling):  # type: ignore[misc]  # a library without types
    """A file's tests stay together, for fixtures of a module; those of the whole system stay together in one process."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return WHOLE_SYSTEM if path.startswith(USERS_OF_THE_SYSTEM) else path

    def _assign_work_unit(self, node: WorkerController) -> None:
        self.workqueue.move_to_end(min(self.workqueue, key=_turn), last=False)
        super()._assign_work_unit(node)


def _turn(unit: str) -> int:
    if unit == WHOLE_SYSTEM:
        return 0
    if has_lonely_tests(ROOT / unit):
        return (
            len(LONG_FIRST) + 2
        )  # by then nobody is in the middle of a long test, for the end of which one would wait
    return next(
        (turn for turn, folder in enumerate(LONG_FIRST, start=1) if unit.startswith(folder)), len(LONG_FIRST) + 1
    )


@functools.cache
def has_lonely_tests(file: Path) -> bool:
    """Whether tests of a file must be alone, by its text: whoever deals out tests has not imported them."""
    return file.is_file() and "mark.alone" in file.read_text(encoding="utf-8")


def check_users_of_the_system(items: list[pytest.Item]) -> None:
    """Raises UsageError for a test that would start a second system in another process."""
    for item in items:
        path = item.nodeid.partition("::")[0]
        if _asks_for_the_system(item) and not path.startswith(USERS_OF_THE_SYSTEM):
            raise pytest.UsageError(
                f"{item.nodeid} uses the fixture `stack`: name its file in {__name__}.USERS_OF_THE_SYSTEM"
            )


def _asks_for_the_system(item: pytest.Item) -> bool:
    if not isinstance(item, pytest.Function):
        return False
    found = item._fixtureinfo.name2fixturedefs.get("stack", ())
    return bool(found) and found[-1].baseid in {"", "tests"}  # not one of a module's own


# -- who must be alone


class Room:
    """Where tests of all processes are: many at a time, or one that is `alone`.

    Two locks of files, which go with their process. Whoever wants to be alone keeps the door while those inside finish, so that
    it waits for one test of each neighbour at most.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._door: Final = (folder / "tests.door").open("ab")
        self._room: Final = (folder / "tests.room").open("ab")
        self._is_alone = False

    def close(self) -> None:
        """Leave it for good."""
        self._door.close()
        self._room.close()

    @contextlib.contextmanager
    def entered(self, *, alone: bool, stay: bool) -> Iterator[None]:
        """Inside, alone or not; a test that was alone and is followed by another such may `stay`."""
        if not self._is_alone:
            with _locked(self._door):
                fcntl.flock(self._room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        try:
            yield
        finally:
            self._is_alone = alone and stay
            if not self._is_alone:
                fcntl.flock(self._room, fcntl.LOCK_UN)


@contextlib.contextmanager
def _locked(file: IO[bytes]) -> Iterator[None]:
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


class Neighbours:
    """The plugin of a process that has neighbours."""

    def __init__(self) -> None:
        self._room: Final = Room(RUN)

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # outside the time limit of the test: waiting is not its doing
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        alone = _is_alone(item)
        with self._room.entered(alone=alone, stay=nextitem is not None and _is_alone(nextitem)):
            return (yield)

    def pytest_unconfigure(self) -> None:
        self._room.close()


def _is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


def has_neighbours() -> bool:
    """Whether this process is one of several."""
    return "PYTEST_XDIST_WORKER" in os.environ
