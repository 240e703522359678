"""A real Prometheus on the real system: it sees every process and the broker's queues, no alert fires while all is well,
and when a worker dies its alerts fire, and end when it is back.

The rules are the committed ones but for their waits, which a test cannot sit out. Run by `make monitor-verify`, and by
`make test` where Prometheus is there.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from deploy.documents import to_yaml
from deploy.local import ports, rabbitmq
from deploy.local.profile import RUN
from deploy.local.programs import find_programs
from deploy.monitoring import rules
from deploy.monitoring.alerts import JOB
from deploy.monitoring.registered import BROKER
from deploy.monitoring.scraping import configuration
from deploy.system import SERVICES
from deploy.tools import find
from tests.support.prometheus import Prometheus, a_prometheus
from tests.support.stack import Stack, a_stack

INTERVAL = "500ms"
HOLD = "1s"
KILLS = 4
SETTLED_SECONDS = 5.0  # the broker counts consumers anew every few seconds


async def broker_exporter(stack: Stack) -> int:
    """Switch on the exporter of the stack's broker, as its operator would; the port it listens on."""
    folder = stack.folder / "rabbitmq"
    program = find_programs().rabbitmq_server
    environment = rabbitmq.environment(folder, stack.ports(), os.environ["PATH"])
    environment.pop("RABBITMQ_SERVER_START_ARGS")
    (port,) = ports.pick(1)
    listen = f'application:set_env(rabbitmq_prometheus, tcp_config, [{{port, {port}}}, {{ip, "127.0.0.1"}}], [{{persistent, true}}]).'
    for command in (("rabbitmqctl", "eval", listen), ("rabbitmq-plugins", "enable", "rabbitmq_prometheus")):
        control = await asyncio.create_subprocess_exec(
            program.with_name(command[0]), *command[1:], env=environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await control.communicate()
        assert control.returncode == 0, said.decode()
    return port


@pytest.fixture
async def stack() -> AsyncIterator[Stack]:
    """A system of this test's own: what it does to the broker and to a service's supervisor lasts."""
    if find("prometheus", "prometheus") is None:
        pytest.skip("no Prometheus here: python3 -m deploy.tools prometheus")
    async with a_stack(RUN / f"stack-{os.getpid()}-watched") as started:
        yield started


@pytest.fixture
async def prometheus(stack: Stack, tmp_path: Path) -> AsyncIterator[Prometheus]:
    program = find("prometheus", "prometheus")
    assert program is not None
    alerts = tmp_path / "alerts.yaml"
    alerts.write_text(to_yaml({"groups": rules.alert_groups(hold=HOLD)}), encoding="utf-8")
    processes = {
        "job_name": JOB,
        "static_configs": [
            {"targets": [urlsplit(url).netloc], "labels": {"service": name.partition("-")[0]}}
            for name, url in stack.admin_urls.items()
            if name != "sandbox"
        ],
    }
    broker = {"static_configs": [{"targets": [f"127.0.0.1:{await broker_exporter(stack)}"]}]}
    files = [str(alerts), str(rules.FOLDER / "objectives.yaml")]
    config = configuration([processes], broker, rules=files, interval=INTERVAL)
    async with a_prometheus(program, tmp_path / "prometheus", config) as started:
        yield started


async def until_quiet(prometheus: Prometheus) -> None:
    """Wait until everything is scraped and nothing fires, and stays so for a while."""
    quiet_since = None
    loop = asyncio.get_running_loop()
    end = loop.time() + 60
    while quiet_since is None or loop.time() - quiet_since < SETTLED_SECONDS:
        assert loop.time() < end, await prometheus.firing()
        targets = (await prometheus.get("targets"))["activeTargets"]
        is_quiet = all(target["health"] == "up" for target in targets) and not await prometheus.firing()
        quiet_since = (quiet_since or loop.time()) if is_quiet else None
        await asyncio.sleep(0.2)


@pytest.mark.timeout(300)
async def test_a_worker_that_dies_fires_its_alerts_and_its_return_ends_them(
    stack: Stack, prometheus: Prometheus
) -> None:
    # given a system under observation that has answered a call, and is quiet
    headers = {"X-API-Key": stack.demo["FANGATE_API_KEY"]}
    async with aiohttp.ClientSession(stack.url, headers=headers) as caller:
        async with caller.get(f"/api/models/{stack.demo['FANGATE_MODEL_ID']}/chats?size=2") as answer:
            assert answer.status == 200, await answer.text()
    await until_quiet(prometheus)

    # then the services and the broker are seen as the rules name them
    up = await prometheus.get("query", query=f'sum by (service) (up{{job="{JOB}"}})')
    assert {each["metric"]["service"]: each["value"][1] for each in up["result"]} == {
        each.name: "1" for each in SERVICES
    }
    assert await prometheus.names() >= BROKER
    paid = await prometheus.get("query", query='fangate_http_requests_total{status_class="2xx"}')
    assert paid["result"]

    # when sessions is killed, again and again, so that its supervisor waits longer and longer
    killing = asyncio.create_task(keep_killing(stack, "sessions"))
    try:
        await prometheus.until_firing(("FangateServiceDown", "sessions"))
        await prometheus.until_firing(("FangateQueueWithoutConsumers", "sessions.rpc"))
        others = {service for alert, service in await prometheus.firing() if alert == "FangateServiceDown"}
        assert others == {"sessions"}
    finally:
        killing.cancel()
        await asyncio.gather(killing, return_exceptions=True)

    # then the alerts end when it is back
    await stack.until_ready()
    await prometheus.until_firing(("FangateQueueWithoutConsumers", "sessions.rpc"), is_firing=False)
    await prometheus.until_firing(("FangateServiceDown", "sessions"), is_firing=False)


async def keep_killing(stack: Stack, service: str) -> None:
    """SIGKILL whenever it has come back, fewer times than its supervisor bears, which waits longer after each.

    A frozen process (SIGSTOP) would look the same to Prometheus, but still hold its queue.
    """
    for _ in range(KILLS):
        killed = False
        while not killed:
            with contextlib.suppress(KeyError, AssertionError):  # it is not back yet
                stack.send(service, signal.SIGKILL)
                killed = True
            await asyncio.sleep(0.2)
