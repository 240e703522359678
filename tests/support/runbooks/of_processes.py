"""Entries about processes, their timers and versions."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from typing import Any, Final

import aiohttp

from deploy.local import ports
from deploy.local.children import Child
from deploy.local.profile import ROOT
from tests.support.runbooks.drill import Drill
from tests.support.runbooks.looking import DOWN, consumers_of, line_of, nothing
from tests.support.runbooks.of_queues import see_queues, thaw
from tests.support.runbooks.room import Room


def freeze(service: str, seconds: float = 0.0) -> Any:
    async def stop(room: Room) -> None:
        room.stack.send(service, signal.SIGSTOP)
        await asyncio.sleep(seconds)

    return stop


async def debits_late(room: Room) -> None:
    room.stack.send("billing", signal.SIGSTOP)
    await asyncio.sleep(9)
    room.stack.send("billing", signal.SIGCONT)


async def keep_killing(room: Room) -> None:
    async def kill() -> None:
        for _ in range(4):
            killed = False
            while not killed:
                with contextlib.suppress(KeyError, AssertionError):
                    room.stack.send("sessions", signal.SIGKILL)
                    killed = True
                await asyncio.sleep(0.2)

    room.notes["killing"] = asyncio.create_task(kill())


async def stop_killing(room: Room) -> None:
    room.notes["killing"].cancel()
    await room.stack.until_ready()


async def see_gone(room: Room) -> str:
    up = await room.figure(DOWN)
    try:
        ready = str(await room.readiness("sessions") or "ready")
    except (aiohttp.ClientError, TimeoutError) as exc:
        ready = f"no answer ({type(exc).__name__})"
    return f"up == 0: {up}; /readyz of sessions: {ready}; queue {await room.figure(consumers_of('sessions.rpc'))}"


async def see_frozen(room: Room) -> str:
    return f"up == 0: {await room.figure(DOWN)}; the process is there and does not answer"


async def stutter(room: Room) -> None:
    for _ in range(6):
        room.stack.send("sessions", signal.SIGSTOP)
        await asyncio.sleep(1.0)
        room.stack.send("sessions", signal.SIGCONT)
        await asyncio.sleep(0.7)


async def see_overhead(room: Room) -> str:
    late = 'sum(rate(fangate_bus_queue_wait_seconds_sum{queue="sessions.rpc"}[1m])) / sum(rate(fangate_bus_queue_wait_seconds_count{queue="sessions.rpc"}[1m]))'
    return f"mean wait in sessions.rpc: {await room.figure(late)} s; event loop lag {await room.figure('max by (service) (fangate_eventloop_lag_seconds) > 0.05')}"


async def late_loop(room: Room) -> None:
    for _ in range(3):
        room.stack.send("auth", signal.SIGSTOP)
        await asyncio.sleep(2.5)
        room.stack.send("auth", signal.SIGCONT)
        await asyncio.sleep(0.6)


async def see_tasks(room: Room) -> str:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{room.stack.admin_urls['auth']}/debug/tasks") as answer,
    ):
        tasks = (await answer.text()).splitlines()
    return f"/debug/tasks: {len(tasks) - 1} tasks, each with its place in the code"


async def second_version(room: Room) -> None:
    (port,) = ports.pick(1)
    code = "import runpy, libs.common.process as p; p._version = lambda: 'drill'; runpy.run_module('services.auth', run_name='__main__')"
    env = {"PATH": os.environ["PATH"], **room.stack.env, "FANGATE_ADMIN_PORT_AUTH": str(port)}
    child = Child.spawn(
        "auth-new", [sys.executable, "-c", code], env=env, log=room.stack.folder / "log" / "auth-new.log", cwd=ROOT
    )
    room.notes["child"] = child
    room.others.write_text(
        json.dumps([{"targets": [f"127.0.0.1:{port}"], "labels": {"service": "auth"}}]), encoding="utf-8"
    )


async def end_second_version(room: Room) -> None:
    await room.notes["child"].stop(signal.SIGTERM, grace_s=30)
    room.others.write_text("[]", encoding="utf-8")


async def see_versions(room: Room) -> str:
    return f"fangate_build_info: {await room.figure('count by (version) (fangate_build_info)')}; /readyz of the new one would name what it misses"


async def timer_fails(room: Room) -> None:
    await room.owner("ALTER TABLE takedowns.batch_refunds RENAME TO batch_refunds_gone")


async def timer_works(room: Room) -> None:
    await room.owner("ALTER TABLE takedowns.batch_refunds_gone RENAME TO batch_refunds")
    await room.stack.kill("takedowns")
    await room.stack.until_ready()


async def see_timer(room: Room) -> str:
    failed = 'sum by (timer) (increase(fangate_timer_runs_total{outcome="failed"}[1m])) > 0'
    return f"failures: {await room.figure(failed)}; log: {line_of(room.logged('takedowns', 'timer failed'), 'event', 'timer')}"


async def schema_too_new(room: Room) -> None:
    """A column that the code asks for has another name: no code expects that."""
    await room.owner("ALTER TABLE takedowns.creators RENAME COLUMN org_id TO org_id_gone")
    await room.stack.kill("takedowns")  # statements that are prepared go on working
    await room.stack.until_ready()
    await asyncio.sleep(2)  # scraped with nothing broken yet
    for _ in range(3):
        room.notes["status"] = await room.call("/api/platforms/creators")


async def schema_fits(room: Room) -> None:
    await room.owner("ALTER TABLE takedowns.creators RENAME COLUMN org_id_gone TO org_id")
    room.notes["said"] = f"the same call then read {await room.call('/api/platforms/creators')}"


async def see_defect(room: Room) -> str:
    line = room.logged("takedowns", "a handler failed")
    named = "the column" if "org_id" in str(line.get("exception", "")) else "no column"
    return f"the call read {room.notes['status']}; log: {line_of(line, 'level', 'event', 'type')}, its traceback names {named}"


OF_PROCESSES: Final = (
    Drill(entry="FangateProcessDown", caused_by="billing frozen (SIGSTOP)", cause=freeze("billing", 2.0), look=see_frozen, done="the process goes on", safe=thaw("billing")),
    Drill(entry="FangateDebits", alert="FangateDebitsBurns", caused_by="billing frozen for 9 s", cause=debits_late, look=see_queues, done="nothing: it has caught up by itself", safe=nothing, window="5 min and 1 h"),
    Drill(entry="FangateServiceDown", caused_by="sessions killed, again and again", cause=keep_killing, look=see_gone, done="left to its supervisor, which started it", safe=stop_killing),
    Drill(entry="FangateQueueWithoutConsumers", caused_by="sessions killed, again and again", cause=keep_killing, look=see_gone, done="left to its supervisor, which started it", safe=stop_killing),
    Drill(entry="FangateOverhead", alert="FangateOverheadBurns", caused_by="sessions stops for 1 s, six times", cause=stutter, look=see_overhead, done="nothing more", safe=nothing, window="5 min and 1 h"),
    Drill(entry="FangateEventLoopLag", caused_by="auth stops for 2.5 s, three times", cause=late_loop, look=see_tasks, done="nothing more", safe=nothing),
    Drill(entry="FangateVersionsMixed", caused_by="a second auth of another version", cause=second_version, look=see_versions, done="the rollout undone", safe=end_second_version),
    Drill(entry="FangateUnhandledErrors", caused_by="a column that takedowns asks for renamed, takedowns restarted", cause=schema_too_new, look=see_defect, done="the change undone", safe=schema_fits, window="10 min"),
    Drill(entry="FangateTimerFails", caused_by="a table of takedowns renamed", cause=timer_fails, look=see_timer, done="the table's name restored, takedowns restarted", safe=timer_works, window="30 min"),
)  # fmt: skip
