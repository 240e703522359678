"""The whole system for end-to-end and fault tests: the launcher of `make run` in a folder of its own, and what a test wants
to know or to break.

Tests speak to it as its users do: HTTP to the edge, the services' command lines, and (to count money) read-only SQL.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg
import redis.asyncio

from deploy.local import ports
from deploy.local.children import Child, signal_if_alive, tail_of
from deploy.local.environment import read_env_file
from deploy.local.operators import run_at_desk
from deploy.local.profile import ROOT, Profile
from deploy.local.seed import DEMO_PASSWORD
from tests.support.gateway_client import Answer
from tests.support.servers import sweep
from tests.support.txt_server import TxtServer

START_SECONDS_MAX: Final = 180
SETTLE_SECONDS_MAX: Final = 120  # what was reserved is posted, or final, by then (leases: 60 s and the queue)
LOOK_SECONDS: Final = 0.1
STEADY_SECONDS: Final = 0.5

_BALANCE: Final = "SELECT coalesce(sum(credits - debits), 0)::bigint FROM billing.accounts WHERE org_id = $1"
_DEBITS: Final = """SELECT coalesce(sum(CASE code WHEN 10 THEN amount WHEN 21 THEN -amount ELSE 0 END), 0)::bigint
                    FROM billing.transfers WHERE org_id = $1"""


@dataclass(frozen=True, slots=True)
class Organization:
    """A tenant with a plan, two keys and a connected model."""

    org_id: str
    key: str
    limited_key: str
    model_id: str
    account: str
    credits: int


class Stack:
    """A running system."""

    def __init__(self, profile: Profile, settings: Mapping[str, str]) -> None:
        demo = read_env_file((profile.run / "demo.env").read_text(encoding="utf-8"))
        self.env = {**read_env_file((profile.run / "env").read_text(encoding="utf-8")), **settings}
        self._profile = profile
        self.run = profile.run  # what a person finds in `.run`
        self.url = demo["FANGATE_URL"]
        self.sandbox_url = demo["FANGATE_SANDBOX_URL"]
        self.admin_urls = dict(pair.split("=", 1) for pair in demo["FANGATE_ADMIN_URLS"].split(","))
        self.demo = demo
        self.names: TxtServer | None = None  # where its name server looks, if a test asked for one

    @property
    def folder(self) -> Path:
        """Where its servers keep their data."""
        return self._profile.folder

    def ports(self) -> dict[str, int]:
        """The servers' ports by name."""
        return self._profile.ports()

    # -- what an operator does

    async def cli(self, service: str, *arguments: str, stdin: str = "") -> dict[str, Any]:
        """A service's command line; the object it prints."""
        return await run_at_desk(service, *arguments, env={"PATH": os.environ["PATH"], **self.env}, stdin=stdin)

    async def an_organization(
        self,
        *,
        credits: int = 1_000,  # noqa: A002
        plan: str | None = "",
        provider: str = "sandbox",
        per_minute: int = 1_000,
    ) -> Organization:
        """A fresh tenant whose whole balance is `credits` (a plan of that size with `per_minute` calls a minute, fifty times
        as many a day), or with the named plan, or with none; its model is on `provider`.
        """
        org_id, name = str(uuid.uuid4()), f"test-{uuid.uuid4().hex[:12]}"
        await self.cli("auth", "org", "create", "--name", name, "--org-id", org_id, "--enable", "platform")
        keys, _, model = await asyncio.gather(
            self._keys(org_id),
            self._subscribe(org_id, credits, plan, per_minute),
            self._connect(org_id, f"{name}@sandbox.test", provider),
        )
        return Organization(
            org_id=org_id, key=keys[0], limited_key=keys[1], model_id=model["model_id"], account=str(model["account"]),
            credits=credits if plan == "" else 0,
        )  # fmt: skip

    async def a_sandbox_organization(self, *, credits: int = 100) -> Organization:  # noqa: A002
        """A fresh test organization with a sandbox key and no model."""
        org_id, name = str(uuid.uuid4()), f"test-{uuid.uuid4().hex[:12]}"
        await self.cli("auth", "org", "create", "--name", name, "--org-id", org_id, "--sandbox")
        create = ("key", "create", "--org", org_id, "--kind", "sandbox", "--role", "owner", "--label", "all")
        made, _ = await asyncio.gather(self.cli("auth", *create), self._subscribe(org_id, credits, ""))
        return Organization(
            org_id=org_id, key=made["key"], limited_key="", model_id="", account="", credits=credits
        )  # fmt: skip

    async def _keys(self, org_id: str) -> tuple[str, str]:
        role = ("--org", org_id, "--name", "no-messages", "--all-but", "api_messages_send")
        create = ("key", "create", "--org", org_id)
        owner = asyncio.create_task(self.cli("auth", *create, "--role", "owner", "--label", "all"))
        await self.cli("auth", "role", "create", *role)
        limited = await self.cli("auth", *create, "--role", "no-messages", "--label", "some")
        return (await owner)["key"], limited["key"]

    async def _subscribe(self, org_id: str, credits: int, plan: str | None, per_minute: int = 1_000) -> None:  # noqa: A002
        if plan is None:
            return
        if plan == "":
            plan = f"test-{credits}-{per_minute}"
            size = ("--credits", str(credits), "--per-minute", str(per_minute), "--per-day", str(50 * per_minute))
            await self.cli("billing", "plan", "set", "--plan", plan, *size)
        await self.cli("billing", "subscription", "start", "--org", org_id, "--plan", plan)
        # The plan's limits reach the callers' side by an event: wait for it, or the first call may read 402.
        await self._until_projected(org_id)

    async def _until_projected(self, org_id: str) -> None:
        async with asyncio.timeout(SETTLE_SECONDS_MAX):
            while await self._sql("SELECT subscription FROM auth.organizations WHERE org_id = $1", org_id) != "active":
                await asyncio.sleep(LOOK_SECONDS)

    async def _connect(self, org_id: str, email: str, provider: str) -> dict[str, Any]:
        login = ("--provider", provider, "--label", "a creator", "--email", email, "--password-stdin")
        return await self.cli("sessions", "model", "connect", "--org", org_id, *login, stdin=DEMO_PASSWORD)

    # -- what the books say

    async def balance(self, organization: Organization) -> int:
        """Credits left, when everything in flight is posted."""
        return await self._steady(_BALANCE, organization)

    async def debits(self, organization: Organization, *, at_least: int = 0) -> int:
        """Credits debited for calls, less those undone; waits until they are `at_least` that many, and posted."""
        end = time.monotonic() + SETTLE_SECONDS_MAX
        while await self._figure(_DEBITS, organization) < at_least and time.monotonic() < end:
            await asyncio.sleep(LOOK_SECONDS)
        return await self._steady(_DEBITS, organization)

    async def ledger_is_sound(self, organization: Organization) -> bool:
        """What `verify` says of one organization."""
        verdict = await self.cli("billing", "verify", "--org", organization.org_id)
        return bool(verdict["result"] == "OK")

    async def delivered(self, text: str) -> int:
        """Writes with `text` in their body that had their effect on the sandbox platform."""
        async with aiohttp.ClientSession(self.sandbox_url) as session, session.get("/_control/calls") as answer:
            return sum(text in write["body"] for write in (await answer.json())["delivered"])

    async def _steady(self, query: str, organization: Organization) -> int:
        """The query's figure once it has not moved for a while: what was confirmed is posted within milliseconds."""
        figure, steady_since = await self._figure(query, organization), time.monotonic()
        while time.monotonic() - steady_since < STEADY_SECONDS:
            await asyncio.sleep(LOOK_SECONDS)
            if (now := await self._figure(query, organization)) != figure:
                figure, steady_since = now, time.monotonic()
        return figure

    async def _figure(self, query: str, organization: Organization) -> int:
        return int(await self._sql(query, organization.org_id))

    async def _sql(self, query: str, org_id: str) -> Any:
        connection = await asyncpg.connect(self.env["FANGATE_POSTGRES_DSN_MIGRATE"])
        try:
            return await connection.fetchval(query, uuid.UUID(org_id))
        finally:
            await connection.close()

    async def metric(self, service: str, name: str, label: str = "") -> float:
        """A figure that a service exports, summed over all its labels, or over those that contain `label`."""
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session,
            session.get(f"{self.admin_urls[service]}/metrics") as answer,
        ):
            lines = (await answer.text()).splitlines()
        values = [line.rpartition("} ") if "{" in line else line.rpartition(" ") for line in lines if line[:1] != "#"]
        return sum(
            float(value.split()[0])
            for labels, _, value in values
            if labels.partition("{")[0].strip() == name and label in labels
        )

    # -- patience

    async def until(self, call: Callable[[], Awaitable[Answer]], *, status: int) -> Answer:
        """Repeat a call until it answers `status`; the last answer, whatever it is, when patience ends."""
        end = time.monotonic() + SETTLE_SECONDS_MAX
        while (answer := await call()).status != status and time.monotonic() < end:
            await asyncio.sleep(LOOK_SECONDS)
        return answer

    async def until_seen(self, call: Callable[[], Awaitable[Answer]], wanted: Callable[[Any], bool]) -> Any:
        """Repeat a call until its `data` is as wanted: what another service was told arrives by an event."""
        end = time.monotonic() + SETTLE_SECONDS_MAX
        while not wanted(data := (await call()).json["data"]) and time.monotonic() < end:
            await asyncio.sleep(LOOK_SECONDS)
        return data

    async def until_posted(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Repeat a call while it answers 503: credits in flight are posted, or returned, in the end."""
        end = time.monotonic() + SETTLE_SECONDS_MAX
        while (answer := await call()).status == 503 and time.monotonic() < end:
            await asyncio.sleep(LOOK_SECONDS)
        return answer

    async def until_ready(self) -> None:
        """Every service answers that it is ready."""
        async with asyncio.timeout(START_SECONDS_MAX), aiohttp.ClientSession() as session:
            for url in self.admin_urls.values():
                while not await _is_ready(session, url):
                    await asyncio.sleep(LOOK_SECONDS)

    # -- what goes wrong

    @contextlib.asynccontextmanager
    async def fault(self, organization: Organization, **fault: Any) -> AsyncIterator[None]:
        """A fault of the platform for one creator's account, until the block ends."""
        async with aiohttp.ClientSession(self.sandbox_url) as session:
            body = {"account": int(organization.account), "times": 1_000, **fault}
            async with session.post("/_control/faults", json=body) as answer:
                assert answer.status == 201, await answer.text()
            try:
                yield
            finally:
                async with session.delete("/_control/faults") as answer:
                    assert answer.status == 204

    def processes(self) -> dict[str, int]:
        """The numbers of all first processes, servers and services, by name."""
        return {name: identity.pid for name, identity in self._profile.processes()}

    def login(self, variable: str) -> str:
        """An address with its login, as the services have it: `FANGATE_AMQP_URL_EDGE`."""
        return self.env[variable]

    async def kill(self, service: str) -> None:
        """SIGKILL; the launcher starts it again."""
        self.send(service, signal.SIGKILL)

    def terminate(self, service: str) -> None:
        """SIGTERM, as for a rollout: it drains, and the launcher starts it again."""
        self.send(service, signal.SIGTERM)

    def log_tail(self, service: str) -> str:
        """The last lines that a process wrote."""
        return tail_of(self.folder / "log" / f"{service}.log")

    def send(self, service: str, number: signal.Signals) -> None:
        """Signal a service's process; it must be there."""
        identities = dict(self._profile.processes())
        assert signal_if_alive(identities[service], number), f"{service} does not run"

    async def flush_redis(self) -> None:
        client = redis.asyncio.Redis.from_url(self.env["FANGATE_REDIS_URL"])
        try:
            await client.flushall()
        finally:
            await client.aclose()


async def _is_ready(session: aiohttp.ClientSession, admin_url: str) -> bool:
    try:
        async with session.get(f"{admin_url}/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


@contextlib.contextmanager
def running_stack(run: Path, **settings: str) -> Iterator[Stack]:
    """Start the system with its files in `run` and these `FANGATE_*` settings; nothing of it is left afterwards."""
    with asyncio.Runner() as runner:
        starting = a_stack(run, **settings)
        stack = runner.run(starting.__aenter__())
        try:
            yield stack
        finally:
            runner.run(starting.__aexit__(None, None, None))


@contextlib.asynccontextmanager
async def a_stack(run: Path, *, launcher: str = "deploy.local", **settings: str) -> AsyncIterator[Stack]:
    """The same inside a running loop; `settings` (`FANGATE_…`) are what a person would set before `make run`. `launcher` names
    the program.
    """
    sweep("stack")
    command = [sys.executable, "-m", launcher, "--run-dir", str(run), "serve"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("FANGATE_")}
    port, admin_port = ports.pick(2)  # far from those of a system that a person runs here
    env |= {"FANGATE_PORT": str(port), "FANGATE_ADMIN_PORT": str(admin_port), **settings}
    # As our child, it dies with this run, however that ends.
    launching = Child.spawn("launcher", command, env=env, log=run / "launcher.log", cwd=ROOT)
    profile = Profile("dev", run=run)
    try:
        end = time.monotonic() + START_SECONDS_MAX
        while profile.state().get("phase") != "ready":
            assert launching.exit_code is None, launching.tail()
            assert time.monotonic() < end, launching.tail()
            await asyncio.sleep(LOOK_SECONDS)
        yield Stack(profile, settings)
    finally:
        await launching.stop(signal.SIGTERM, grace_s=START_SECONDS_MAX)
        left = profile.processes()
        assert left == [], f"still running: {left}"
        shutil.rmtree(run, ignore_errors=True)
