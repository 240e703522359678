"""A small service for test_process.py: `python -m tests.integration.libs.example_process <what to do differently>`."""

import asyncio
import os
import sys
from pathlib import Path

from libs.common.process import Process, run
from libs.common.settings import SettingsError
from libs.common.telemetry.log import logger

MODES = set(sys.argv[1:])
# What a defect has at hand, and no collector of errors may be told: a key, a DSN's login, a password, a session.
PLANTED = (
    "fgk_" + "Ab3" * 12, "postgresql://planted-user:planted-word@db/x", "planted-password-1", "planted-session-2",
)  # fmt: skip
GATE = Path(os.environ.get("GATE", "/nonexistent"))
log = logger(__name__)


class Resource:
    def __init__(self, name: str) -> None:
        self._name = name

    async def close(self) -> None:
        log.info("step", what=f"close {self._name}")
        if self._name == "broken":
            raise RuntimeError("does not close")


async def build(process: Process) -> None:
    if "bad-setting" in MODES:
        raise SettingsError("FANGATE_PORT: expected an integer")
    if "bad-build" in MODES:
        await process.closing(Resource("first"))
        raise RuntimeError("cannot be wired")
    if "slow-build" in MODES:
        log.info("building")
        await asyncio.sleep(3600)
    await process.closing(Resource("first"))
    await process.closing(Resource("broken"))
    await process.closing(Resource("last"))
    if "defect" in MODES:
        meet_a_defect(PLANTED[2])
    process.ready_when("gate", check_gate)
    process.ready_when("slow", check_slow)
    process.start("worker", work(process))
    process.on_drain("one", lambda: drain(process, "one"))
    process.on_drain("failing", fail)
    if "stuck-drain" in MODES:
        process.on_drain("stuck", stick)
    process.on_drain("two", lambda: drain(process, "two"))


def meet_a_defect(password: str) -> None:
    """An error that no code expects, with secrets in its message, in its cause, in variables and in the line of the log."""
    session_token = PLANTED[3]
    try:
        try:
            raise KeyError(f"{PLANTED[0]} by {PLANTED[1]}")
        except KeyError as exc:
            raise RuntimeError(f"refused with {PLANTED[0]} ({len(password + session_token)})") from exc
    except RuntimeError as exc:
        log.error("unhandled error", request_id="a-request", api_key=PLANTED[0], exc_info=exc)


def gate_is_open() -> bool:
    return GATE.exists()


async def check_gate() -> None:
    if not gate_is_open():
        raise RuntimeError("the gate is shut: postgresql://user:hunter2@db/x")


async def check_slow() -> None:
    if "slow-check" in MODES:
        await asyncio.sleep(3600)


async def work(process: Process) -> None:
    try:
        if "worker-dies" in MODES:
            await asyncio.sleep(0.1)
            raise ValueError("worker broke")
        if "worker-ends" in MODES:
            return
        await asyncio.sleep(3600)
    finally:
        log.info("step", what="worker ended", draining=process.draining)


async def drain(process: Process, name: str) -> None:
    log.info("step", what=f"drain {name}", draining=process.draining)
    if "slow-drain" in MODES:
        await asyncio.sleep(3600 if name == "one" else 0)


async def stick() -> None:
    await asyncio.sleep(3600)


async def fail() -> None:
    raise RuntimeError("a step that fails")


run("billing", build)
