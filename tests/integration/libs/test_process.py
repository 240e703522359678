"""The life of a process, as whoever starts, watches and stops it sees it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.local import ports

REPOSITORY = Path(__file__).resolve().parents[3]
PATIENCE = 30.0


class Example:
    """One run of example_process.py."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.admin = f"http://127.0.0.1:{port}"
        self.lines: list[dict[str, Any]] = []

    async def until(self, event: str, **fields: object) -> dict[str, Any]:
        """Read log lines until one says `event`."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while raw := await self.process.stdout.readline():
                self.lines.append(json.loads(raw))
                if self.lines[-1]["event"] == event and fields.items() <= self.lines[-1].items():
                    return self.lines[-1]
        raise AssertionError(f"ended without {event!r}: {self.lines}")

    async def end(self) -> int:
        """The exit status; all further lines are read."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            rest = await self.process.stdout.read()
            self.lines += [json.loads(raw) for raw in rest.splitlines()]
            return await self.process.wait()

    @property
    def steps(self) -> list[str]:
        return [line["what"] for line in self.lines if line["event"] == "step"]

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as http, http.get(self.admin + path, headers=headers) as answer:
            return answer.status, await answer.text()

    async def readiness(self) -> tuple[int, dict[str, Any]]:
        status, text = await self.get("/readyz")
        return status, json.loads(text)


Start = Callable[..., Awaitable[Example]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts examples; what still runs at the end is killed."""
    started: list[Example] = []

    async def launch(*modes: str, **settings: str) -> Example:
        (port,) = ports.pick(1)
        environ = {name: value for name, value in os.environ.items() if not name.startswith("FANGATE_")}
        environ |= {"FANGATE_ADMIN_PORT": str(port), "GATE": str(tmp_path / "gate")} | settings
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.integration.libs.example_process", *modes,
            cwd=REPOSITORY, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        started.append(Example(process, port))
        return started[-1]

    yield launch
    for example in started:
        if example.process.returncode is None:
            example.process.kill()
        await example.process.communicate()
        transport = example.process._transport  # type: ignore[attr-defined]
        transport.close()


async def test_a_process_says_when_it_is_ready_and_where(start: Start, tmp_path: Path) -> None:
    (tmp_path / "gate").touch()
    example = await start()
    ready = await example.until("ready")
    assert example.admin == f"http://{ready['admin_host']}:{ready['admin_port']}"
    assert ready["pid"] == example.process.pid
    assert await example.readiness() == (
        200,
        {"ready": True, "state": "running", "checks": {"gate": "ok", "slow": "ok"}},
    )


async def test_any_free_admin_port_will_do(start: Start) -> None:
    example = await start(FANGATE_ADMIN_PORT="0")
    assert (await example.until("ready"))["admin_port"] > 0


async def test_readiness_comes_and_goes_with_its_checks_and_liveness_stays(start: Start, tmp_path: Path) -> None:
    example = await start()
    await example.until("ready")
    status, body = await example.readiness()
    assert (status, body["ready"]) == (503, False)
    assert body["checks"]["gate"].startswith("RuntimeError: the gate is shut")
    assert "hunter2" not in body["checks"]["gate"]
    assert (await example.get("/livez"))[0] == 200
    assert 'fangate_check_failing{check="gate"} 1.0' in (await example.get("/metrics"))[1]
    (tmp_path / "gate").touch()
    assert 'fangate_check_failing{check="gate"} 0.0' in (await example.get("/metrics"))[1]
    assert (await example.readiness())[0] == 200
    (tmp_path / "gate").unlink()
    assert (await example.readiness())[0] == 503


async def test_a_check_that_does_not_answer_is_a_no(start: Start, tmp_path: Path) -> None:
    (tmp_path / "gate").touch()
    example = await start("slow-check")
    await example.until("ready")
    status, body = await example.readiness()
    assert (status, body["checks"]["slow"]) == (503, "no answer in 1 s")


async def test_the_admin_port_shows_metrics_and_tasks(start: Start) -> None:
    example = await start()
    await example.until("ready")
    status, metrics = await example.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert status == 200
    assert metrics.endswith("# EOF\n")
    assert 'fangate_build_info{service="billing"' in metrics
    assert "fangate_eventloop_lag_seconds" in metrics
    status, tasks = await example.get("/debug/tasks")
    assert status == 200
    assert "worker\twork\t" in tasks
    assert (await example.get("/"))[0] == 404


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_in_order_and_closes_in_reverse(start: Start, number: signal.Signals) -> None:
    example = await start()
    await example.until("ready")
    example.process.send_signal(number)
    assert await example.end() == 0
    assert example.steps == ["drain one", "drain two", "worker ended", "close last", "close broken", "close first"]
    assert all(
        line["draining"] for line in example.lines if line.get("what") in {"drain one", "drain two", "worker ended"}
    )
    events = [line["event"] for line in example.lines]
    assert "drain step failed" in events  # one step that fails stops no other
    assert "resource did not close" in events
    assert events[-1] == "ended"


async def test_a_draining_process_is_not_ready_and_still_alive(start: Start, tmp_path: Path) -> None:
    (tmp_path / "gate").touch()
    example = await start("slow-drain")
    await example.until("ready")
    assert (await example.readiness())[0] == 200
    example.process.send_signal(signal.SIGTERM)
    await example.until("step", what="drain one")
    status, body = await example.readiness()
    assert (status, body["ready"], body["state"]) == (503, False, "draining")
    assert body["checks"]["gate"] == "ok"
    assert (await example.get("/livez"))[0] == 200


async def test_a_second_signal_ends_at_once(start: Start) -> None:
    example = await start("slow-drain")
    await example.until("ready")
    example.process.send_signal(signal.SIGTERM)
    await example.until("step", what="drain one")
    example.process.send_signal(signal.SIGINT)
    assert await example.end() == 130
    assert example.steps == ["drain one"]


async def test_a_drain_step_that_hangs_runs_out_of_time_and_the_rest_is_done(start: Start) -> None:
    example = await start("stuck-drain", FANGATE_DRAIN_SECONDS="0.2")
    await example.until("ready")
    example.process.send_signal(signal.SIGTERM)
    assert await example.end() == 0
    assert [line["step"] for line in example.lines if line["event"] == "drain step ran out of time"] == ["stuck"]
    assert example.steps[:2] == ["drain one", "drain two"]
    assert example.steps[-1] == "close first"


@pytest.mark.parametrize("mode", ["worker-dies", "worker-ends"])
async def test_a_background_task_that_ends_by_itself_ends_the_process(start: Start, mode: str) -> None:
    example = await start(mode)
    assert await example.end() == 1
    (line,) = [line for line in example.lines if line["event"] == "background task ended by itself"]
    assert line["task"] == "worker"
    assert ("worker broke" in json.dumps(line)) == (mode == "worker-dies")
    assert example.steps[-3:] == ["close last", "close broken", "close first"]


async def test_a_start_that_waits_can_be_stopped(start: Start) -> None:
    example = await start("slow-build")
    await example.until("building")
    assert (await example.readiness())[1]["state"] == "starting"
    example.process.send_signal(signal.SIGTERM)
    assert await example.end() == 0


async def test_a_start_that_fails_closes_what_was_opened(start: Start) -> None:
    example = await start("bad-build")
    assert await example.end() == 1
    assert example.steps == ["close first"]
    assert "cannot be wired" in json.dumps(example.lines)


@pytest.mark.parametrize(
    ("modes", "settings", "complaint"),
    [
        (["bad-setting"], {}, "FANGATE_PORT: expected an integer\n"),
        ([], {"FANGATE_LOG_LEVEL": "loud"}, "FANGATE_LOG_LEVEL: no such level (service billing)\n"),
        ([], {"FANGATE_PROT": "8080"}, "FANGATE_PROT is not a setting of this program: see docs/operations.md for the list\n"),
    ],
)  # fmt: skip
async def test_a_wrong_setting_is_one_line_and_status_2(
    start: Start, modes: list[str], settings: dict[str, str], complaint: str
) -> None:
    example = await start(*modes, **settings)
    assert await example.end() == 2
    assert example.process.stderr is not None
    assert (await example.process.stderr.read()).decode() == complaint


async def test_a_taken_admin_port_is_an_error_of_the_start(start: Start) -> None:
    first = await start()
    port = str((await first.until("ready"))["admin_port"])
    second = await start(FANGATE_ADMIN_PORT=port)
    assert await second.end() == 1
    assert second.steps == []
