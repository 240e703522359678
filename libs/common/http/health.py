"""The admin port: `/livez`, `/readyz`, `/metrics`, `/debug/tasks`. Never the port that clients see.

Liveness asks only whether the event loop turns: an outage of the database or the broker must not get a process killed.
Readiness asks what the service registered, and is over as soon as the process drains. Metrics ask the same first, so that an
outage is in them although nobody asks for readiness.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import orjson
from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler

from libs.common.telemetry.log import redact
from libs.common.telemetry.metrics import Gauge

CHECK_SECONDS: Final = 1.0  # a check that takes longer has failed
CLOSE_SECONDS: Final = 1.0  # for an answer that is on its way

FAILING: Final = Gauge("fangate_check_failing", "1 while what the process needs does not answer", ["check"])

Check = Callable[[], Awaitable[None]]


class Health:
    """What the admin port answers from. `state` is `starting`, `running` or `draining`."""

    def __init__(self) -> None:
        self.state = "starting"
        self.checks: dict[str, Check] = {}
        self._looking: dict[str, asyncio.Task[None]] = {}  # one per check: those that hang do not pile up

    async def look(self) -> tuple[bool, dict[str, str]]:
        """Run all checks at once; answers whether the process is ready, and `ok` or the reason per check."""
        names = list(self.checks)
        results = dict(zip(names, await asyncio.gather(*(self._run(name) for name in names)), strict=True))
        for name, result in results.items():
            FAILING.labels(name).set(result != "ok")
        return self.state == "running" and all(result == "ok" for result in results.values()), results

    async def _run(self, name: str) -> str:
        looking = self._looking.get(name)
        if looking is None:
            looking = self._looking[name] = asyncio.create_task(_look(self.checks[name]), name=f"check {name}")
            looking.add_done_callback(lambda _: self._looking.pop(name))
        # Not by a cancellation: what waits for a silent server may take long to notice one, and nobody may wait for it here.
        done, _ = await asyncio.wait({looking}, timeout=CHECK_SECONDS)
        if not done or looking.cancelled():
            return f"no answer in {CHECK_SECONDS:.0f} s"
        error = looking.exception()
        if error is None:
            return "ok"
        reason = redact(None, "", {"reason": str(error)})["reason"]
        return f"{type(error).__name__}: {reason}"


async def _look(check: Check) -> None:
    await check()


class AdminPort:
    """The server; `port` is the one it listens on."""

    def __init__(self, runner: web.AppRunner, port: int) -> None:
        """Use `open`."""
        self.port = port
        self._runner = runner

    @classmethod
    async def open(cls, host: str, port: int, health: Health) -> "AdminPort":
        """Listen on `host:port` (0 = any free port). Raises OSError when the port is taken."""
        runner = web.AppRunner(
            _application(health), access_log=None, handle_signals=False, shutdown_timeout=CLOSE_SECONDS
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError:
            await runner.cleanup()
            raise
        return cls(runner, int(runner.addresses[0][1]))

    async def close(self) -> None:
        await self._runner.cleanup()


def _application(health: Health) -> web.Application:
    async def livez(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_request: web.Request) -> web.Response:
        ready, checks = await health.look()
        body = {"ready": ready, "state": health.state, "checks": checks}
        return web.Response(body=orjson.dumps(body), status=200 if ready else 503, content_type="application/json")

    scrape = make_aiohttp_handler()

    async def metrics(request: web.Request) -> web.StreamResponse:
        await health.look()
        return await scrape(request)

    app = web.Application()
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/debug/tasks", _tasks)
    return app


async def _tasks(_request: web.Request) -> web.Response:
    """Every asyncio task: its name, its coroutine and where it stands. No values."""
    lines = [f"# {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}"]
    for task in sorted(asyncio.all_tasks(), key=lambda task: task.get_name()):
        stack = task.get_stack(limit=1)
        where = f"{stack[-1].f_code.co_filename}:{stack[-1].f_lineno}" if stack else "-"
        lines.append(f"{task.get_name()}\t{getattr(task.get_coro(), '__qualname__', '?')}\t{where}")
    return web.Response(text="\n".join(lines) + "\n")
