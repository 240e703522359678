"""Where runbook entries are followed: a system under load that is there to be broken, watched by a real Prometheus with the
committed rules, and the means that an operator has.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import asyncpg

from deploy.documents import to_yaml
from deploy.local import ports, rabbitmq
from deploy.local.profile import ROOT
from deploy.local.programs import find_programs
from deploy.monitoring import rules
from deploy.monitoring.alerts import JOB
from deploy.monitoring.scraping import configuration
from deploy.tools import find
from tests.support.faults.campaign import Campaign, campaign
from tests.support.prometheus import Prometheus, a_prometheus

INTERVAL: Final = "500ms"
HOLD: Final = "0s"  # the rules' own waits are minutes; their scenarios are tested with promtool
LINES_READ: Final = 4_000
_USUAL_MINUTES: Final = 26 * 60  # a credit in each
_QUIET_MINUTES: Final = 10  # the newest: what is imported must not meet what is scraped


@dataclass(slots=True)
class Room:
    """An operator's desk."""

    campaign: Campaign
    prometheus: Prometheus
    others: Path  # a file that tells Prometheus of processes started by hand
    exporter_port: int
    receiver: str  # where webhooks may go
    notes: dict[str, Any] = field(default_factory=dict)  # between a drill's steps

    @property
    def stack(self) -> Any:
        return self.campaign.world.stack

    @property
    def servers(self) -> Any:
        return self.campaign.world.servers

    @property
    def database(self) -> str:
        """The name of the system's database."""
        return str(urlsplit(self.stack.env["FANGATE_POSTGRES_DSN_MIGRATE"]).path.lstrip("/"))

    async def owner(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        """SQL as the owner of the database, past the services' wire."""
        name = urlsplit(self.stack.env["FANGATE_POSTGRES_DSN_MIGRATE"]).path
        dsn = urlsplit(self.servers.postgres.dsn)._replace(path=name).geturl()
        connection = await asyncpg.connect(dsn)
        try:
            return [dict(row) for row in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()

    async def figure(self, query: str) -> str:
        """What Prometheus answers, shortly: `labels value` of each result."""
        found = (await self.prometheus.get("query", query=query))["result"]
        shown = [
            f"{','.join(v for k, v in sorted(each['metric'].items()) if k in {'service', 'queue', 'outcome', 'code', 'check', 'route', 'timer', 'reason', 'provider', 'type', 'version'})} {float(each['value'][1]):.6g}".strip()
            for each in found
        ]
        return "; ".join(sorted(shown)[:4]) or "nothing"

    async def readiness(self, service: str) -> dict[str, str]:
        """The checks of `/readyz` that are not ok."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as session:
            async with session.get(f"{self.stack.admin_urls[service]}/readyz") as answer:
                checks = json.loads(await answer.text())["checks"]
        return {name: said for name, said in checks.items() if said != "ok"}

    def logged(self, service: str, event: str, **facts: Any) -> dict[str, Any]:
        """The last line of a service's log that says `event`; empty if there is none."""
        lines = (self.stack.folder / "log" / f"{service}.log").read_text(encoding="utf-8").splitlines()
        for raw in reversed(lines[-LINES_READ:]):
            with contextlib.suppress(json.JSONDecodeError):
                line = json.loads(raw)
                if str(line.get("event", "")).startswith(event) and facts.items() <= line.items():
                    return dict(line)
        return {}

    async def verify(self) -> tuple[int, dict[str, Any]]:
        """`python -m services.billing verify`: its exit status and what it printed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.billing", "verify",
            cwd=ROOT, env={"PATH": os.environ["PATH"], **self.stack.env}, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _ = await process.communicate()
        return process.returncode or 0, json.loads(out)

    async def tool(self, *arguments: str) -> list[dict[str, Any]]:
        """`python -m libs.common.bus.deadletters …`, as the operator; its lines."""
        env = {"PATH": os.environ["PATH"], **self.stack.env}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "libs.common.bus.deadletters", *arguments,
            cwd=ROOT, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return [json.loads(line) for line in out.splitlines()]

    async def call(self, path: str, *, key: str = "", method: str = "GET", **headers: str) -> int:
        """One call of the first customer; the status."""
        organization = self.campaign.tenants[0].organization
        sent = {"X-API-Key": key or organization.key, **headers}
        async with aiohttp.ClientSession(self.stack.url, headers=sent) as caller:
            body = {"text": "drill"} if method == "POST" else None
            async with caller.request(method, path.format(model=organization.model_id), json=body) as answer:
                return answer.status

    async def ask(self, method: str, path: str, **body: Any) -> Any:
        """A call of the first customer that must be answered with a 2xx; its body."""
        headers = {"X-API-Key": self.campaign.tenants[0].organization.key}
        async with aiohttp.ClientSession(self.stack.url, headers=headers) as caller:
            async with caller.request(method, path, json=body or None) as answer:
                assert answer.ok, await answer.text()
                return await answer.json()

    async def export_broker(self) -> None:
        """Switch on the exporter of the broker's node, after each of its starts."""
        listen = f'application:set_env(rabbitmq_prometheus, tcp_config, [{{port, {self.exporter_port}}}, {{ip, "127.0.0.1"}}], [{{persistent, true}}]).'
        for command in (
            ("rabbitmq-plugins", "disable", "rabbitmq_prometheus"),
            ("rabbitmqctl", "eval", listen),
            ("rabbitmq-plugins", "enable", "rabbitmq_prometheus"),
        ):
            await self.broker_control(*command)

    async def broker_control(self, program: str, *arguments: str) -> str:
        """A command line tool of the broker's, on its node; what it printed."""
        broker = self.servers.broker
        environment = rabbitmq.environment(broker._folder, broker._ports, os.environ["PATH"])
        environment.pop("RABBITMQ_SERVER_START_ARGS")
        control = await asyncio.create_subprocess_exec(
            find_programs().rabbitmq_server.with_name(program), *arguments, env=environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await control.communicate()
        assert control.returncode == 0, said.decode()
        return said.decode()


def _a_usual_day(instance: str) -> str:
    """The day before, in which little was spent: what alerts that compare with it need."""
    labels = f'job="{JOB}",service="billing",instance="{instance}",type="call"'
    now = int(time.time())
    lines = [
        f"fangate_credits_total{{{labels}}} {minute} {now - 60 * (_USUAL_MINUTES - minute)}"
        for minute in range(_USUAL_MINUTES - _QUIET_MINUTES)
    ]
    return "\n".join(["# TYPE fangate_credits counter", *lines, "# EOF", ""])


@contextlib.asynccontextmanager
async def a_room(run: Path) -> AsyncIterator[Room]:
    """Everything started; nothing of it is left afterwards."""
    program = find("prometheus", "prometheus")
    assert program is not None, "python -m deploy.tools prometheus"
    (receiver,) = ports.pick(1)  # of webhooks; nobody listens there
    local = f"127.0.0.1:{receiver}"
    own = {"FANGATE_WEBHOOK_LOCAL_RECEIVERS": local}
    async with campaign(run, rich=2, workers=2, say=lambda _: None, **own) as driver:
        stack = driver.world.stack
        alerts, others = run / "alerts.yaml", run / "others.json"
        alerts.write_text(to_yaml({"groups": rules.alert_groups(hold=HOLD)}), encoding="utf-8")
        others.write_text("[]", encoding="utf-8")
        objectives = run / "objectives.yaml"
        groups = rules.objective_groups()
        for rule in (rule for group in groups for rule in group["rules"] if "for" in rule):
            rule["for"] = HOLD
        objectives.write_text(to_yaml({"groups": groups}), encoding="utf-8")
        targets = [
            {"targets": [urlsplit(url).netloc], "labels": {"service": name.partition("-")[0]}}
            for name, url in stack.admin_urls.items()
            if name != "sandbox"
        ]
        (exporter,) = ports.pick(1)
        processes = {
            "job_name": JOB,
            "static_configs": targets,
            "file_sd_configs": [{"files": [str(others)], "refresh_interval": "1s"}],
        }
        broker = {"static_configs": [{"targets": [f"127.0.0.1:{exporter}"]}]}
        config = configuration([processes], broker, rules=[str(alerts), str(objectives)], interval=INTERVAL)
        history = _a_usual_day(urlsplit(stack.admin_urls["billing"]).netloc)
        async with a_prometheus(program, run / "prometheus", config, history=history) as prometheus:
            room = Room(driver, prometheus, others, exporter, local)
            await room.export_broker()
            yield room
