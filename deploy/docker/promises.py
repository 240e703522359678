"""What callers are promised first of all, asked of the system in containers by the tests that show it of `make run`; a table of
it all at the end.
"""

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.compose.system import DESCRIBED, Containers
from deploy.documents import ROOT

_SECONDS_MAX: Final = 1_800.0
_TIMEOUT: Final = "--timeout=300"  # of one test: each command line starts inside a container, seconds on a busy machine
_CALL: Final = "tests/e2e/gateway/chats_list"
_SEND: Final = "tests/e2e/gateway/messages_send"
# promise -> the tests that show it
PROMISES: Final = {
    "a call: 200, data byte for byte the platform's, _credits and _rate_limits": (f"{_CALL}/test_200.py",),
    "Send Message costs 2, and arrives once": (f"{_SEND}/test_201.py",),
    "repeated under an Idempotency-Key: the first answer, sent and paid once": (
        "tests/e2e/test_idempotency.py::test_a_repeated_message_is_sent_and_paid_once",
    ),
    "a platform's 500, delay, drop, garbage: the documented status, free": (f"{_CALL}/test_upstream_failures.py",),
    "malformed and unknown keys: 401; a revoked one on its next call": (f"{_CALL}/test_401.py",),
    "no credits 402, a role without the right 403": (f"{_CALL}/test_402.py", f"{_SEND}/test_403.py"),
    "foreign and unknown models and paths, other methods, bad bodies": (
        f"{_CALL}/test_404.py", f"{_CALL}/test_405.py", f"{_SEND}/test_bad_bodies.py",
    ),
    "200 calls at once on 50 credits buy 50, also if Redis is flushed": ("tests/e2e/gateway/test_balance_of_fifty.py",),
    "SIGKILL of any service under load: nothing lost, nothing paid twice": ("tests/fault/test_sigkill_under_load.py",),
    "billing's own login cannot change a transfer; `verify` says OK": ("tests/e2e/test_append_only.py",),
}  # fmt: skip


class BrokenPromiseError(Exception):
    """A test failed; the message has the table and the end of what pytest said."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A line of the table."""

    promise: str
    passed: int
    failed: int
    seconds: float

    def __str__(self) -> str:
        word = "ok" if self.passed and not self.failed else "NOT SHOWN"
        return f"{word:<9} {self.passed:3} passed {self.failed:3} failed {self.seconds:6.1f} s  {self.promise}"


def show(containers: Containers, folder: Path) -> list[Shown]:
    """Run them all against `containers`. Raises BrokenPromiseError."""
    report = folder / "promises.xml"
    tests = [test for chosen in PROMISES.values() for test in chosen]
    env = {**os.environ, DESCRIBED: containers.describe()}
    options = ("-q", "-p", "no:randomly", "-p", "no:cacheprovider", _TIMEOUT, f"--junitxml={report}")
    command = [sys.executable, "-m", "pytest", *options]
    began = time.monotonic()
    try:
        done = subprocess.run(
            [*command, *tests], cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=_SECONDS_MAX
        )
    except subprocess.TimeoutExpired:
        raise BrokenPromiseError(f"the tests took longer than {_SECONDS_MAX:.0f} s") from None
    if not report.exists():
        raise BrokenPromiseError(done.stdout[-3000:] + done.stderr[-1000:])
    table = _table(report)
    if done.returncode != 0 or not all(line.passed and not line.failed for line in table):
        lines = "\n".join(str(line) for line in table)
        raise BrokenPromiseError(f"after {time.monotonic() - began:.0f} s\n{lines}\n{done.stdout[-4000:]}")
    return table


def _table(report: Path) -> list[Shown]:
    """What pytest reported, by promise."""
    cases: dict[str, list[tuple[bool, float]]] = defaultdict(list)
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 (as above)
        failed = any(case.find(word) is not None for word in ("failure", "error", "skipped"))
        file = case.get("classname", "").replace(".", "/") + ".py"
        cases[file].append((not failed, float(case.get("time", "0"))))
    return [_shown(promise, tests, cases) for promise, tests in PROMISES.items()]


def _shown(promise: str, tests: Sequence[str], cases: dict[str, list[tuple[bool, float]]]) -> Shown:
    found = [case for test in tests for case in cases[test.partition("::")[0]]]
    passed = sum(is_passed for is_passed, _ in found)
    return Shown(promise, passed, len(found) - passed, sum(seconds for _, seconds in found))
