"""A real Prometheus for a test: started on a free port, asked by HTTP, stopped and gone."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp

from deploy.documents import to_yaml
from deploy.local import ports
from deploy.local.children import Child
from deploy.local.readiness import until_ready

READY_SECONDS_MAX: Final = 20.0
LOOK_SECONDS: Final = 0.1


class Prometheus:
    """A running one."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def get(self, path: str, **parameters: str) -> Any:
        """`data` of an answer of its HTTP API."""
        async with self._session.get(f"/api/v1/{path}", params=parameters) as answer:
            body = json.loads(await answer.text())
        assert body["status"] == "success", body
        return body["data"]

    async def firing(self) -> set[tuple[str, str]]:
        """The alerts that fire, each with its `service` or `queue`."""
        alerts = (await self.get("alerts"))["alerts"]
        return {
            (alert["labels"]["alertname"], alert["labels"].get("service") or alert["labels"].get("queue", ""))
            for alert in alerts
            if alert["state"] == "firing"
        }

    async def until_firing(self, alert: tuple[str, str], *, is_firing: bool = True, timeout_s: float = 60.0) -> float:
        """Wait until an alert fires (or no longer does); the seconds that took. Raises AssertionError."""
        started = time.monotonic()
        while (alert in await self.firing()) != is_firing:
            assert time.monotonic() - started < timeout_s, f"{alert}: firing are {await self.firing()}"
            await asyncio.sleep(LOOK_SECONDS)
        return time.monotonic() - started

    async def names(self) -> set[str]:
        """Every metric name it holds."""
        return set(await self.get("label/__name__/values"))


@contextlib.asynccontextmanager
async def a_prometheus(
    program: Path, folder: Path, configuration: Mapping[str, Any], *, history: str = ""
) -> AsyncIterator[Prometheus]:
    """Run it with this configuration; nothing of it is left afterwards. `history`: what it scraped before, as OpenMetrics."""
    _write(folder, configuration)
    if history:
        await _remember(program.with_name("promtool"), folder, history)
    (port,) = ports.pick(1)
    command = [
        program, f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", f"--storage.tsdb.retention.time={'2d' if history else '1h'}", "--log.level=warn",
    ]  # fmt: skip
    env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder)}
    child = Child.spawn("prometheus", command, env=env, log=folder / "prometheus.log", cwd=folder)
    timeout = aiohttp.ClientTimeout(total=5.0)
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", timeout=timeout) as session:

            async def check() -> None:
                async with session.get("/-/ready") as answer:
                    answer.raise_for_status()

            await until_ready(child, check, timeout_s=READY_SECONDS_MAX)
            yield Prometheus(session)
    finally:
        await child.stop(signal.SIGTERM, grace_s=10.0)
        shutil.rmtree(folder, ignore_errors=True)


def _write(folder: Path, configuration: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True)
    (folder / "prometheus.yaml").write_text(to_yaml(dict(configuration)), encoding="utf-8")


async def _remember(promtool: Path, folder: Path, history: str) -> None:
    file = folder / "history"
    file.write_text(history, encoding="ascii")
    making = await asyncio.create_subprocess_exec(
        promtool, "tsdb", "create-blocks-from", "openmetrics", file, folder / "data",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await making.communicate()
    assert making.returncode == 0, said.decode()
