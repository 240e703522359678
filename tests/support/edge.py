"""An edge in this process with doubles of its neighbours: auth, billing, sessions and the broker in a few lines each.

Redis is the real one (its scripts are the thing under test); billing's counters are installed by billing's own scripts.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from libs.common.clock import Clock, SystemClock
from libs.common.contracts.auth import PLATFORM, Limits, Principal
from libs.common.contracts.billing import LeaseOpened
from libs.common.contracts.catalogue import RetryClass
from libs.common.contracts.edge import UsageRecorded, UsageVoided
from libs.common.contracts.sessions import NO_MODEL, Proxy
from libs.common.contracts.wire import Outgoing
from libs.common.http.server import HttpServer
from libs.common.ids import KEY_KINDS, new_key, uuid7
from libs.common.peppers import PepperRing
from libs.common.redis import keys
from libs.common.redis.client import Redis
from libs.common.redis.scripts import load_script
from services.edge.domain.catalogue import Route, route_limits
from services.edge.domain.own import own_routes
from services.edge.domain.ports import Credential, CreditsInUse, KeptAnswers, Sessions
from services.edge.domain.refusal import Refusal
from services.edge.domain.upstream import Upstream
from services.edge.domain.versions import Versions
from services.edge.entry.broadcasts import Broadcasts
from services.edge.entry.http import Edge
from services.edge.entry.proxies import TrustedProxies
from services.edge.entry.surfaces import SURFACES
from services.edge.entry.versions import RequestedVersions
from services.edge.gateways.calls import CallCounts
from services.edge.gateways.forms import SealedForms
from services.edge.gateways.usage import UsageGateway
from services.edge.store.admission import RedisAdmission
from services.edge.store.failures import CountedFailures
from services.edge.store.local import LocalAdmission
from services.edge.store.principals import CachedPrincipals
from services.edge.store.refills import Refills
from services.edge.store.sharing import SharedKeys
from services.edge.usecases.admit import Admit
from services.edge.usecases.authenticate import Authenticate
from services.edge.usecases.export_call import ExportCall
from services.edge.usecases.own_call import OwnCall
from services.edge.usecases.proxy_call import ProxyCall
from services.edge.usecases.replay_answer import ReplayAnswer
from tests.support.idempotency import RememberedAnswers
from tests.support.services_double import ServicesDouble

RING = PepperRing.parse("test:" + "5a" * 32)
ALL_PERMISSIONS = frozenset(route.permission for surface in SURFACES for route in surface.routes() if route.permission)
OWN_PERMISSIONS = frozenset(route.permission for route in own_routes() if route.permission)
_PREFIXES = {kind: prefix for prefix, kind in KEY_KINDS.items()}
PLATFORM_BODY = b'{ "list":[1,  2],"list" : [3], "big":12345678901234567890,"odd":1e400,"nul":"\\u0000" }'
REDIS_SECONDS = 2.0  # a busy neighbour of a test may hold Redis up for longer than the 150 ms of production


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now_ms: int = 1_790_000_000_000) -> None:
        self._now_ms = now_ms
        self._stopwatch_ms = 1_000_000

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._now_ms / 1_000, UTC)

    def now_ms(self) -> int:
        return self._now_ms

    def stopwatch_ms(self) -> int:
        return self._stopwatch_ms

    def advance(self, ms: int) -> None:
        self._now_ms += ms
        self._stopwatch_ms += ms


def a_principal(**changes: Any) -> Principal:
    """An active owner with every permission and wide windows, one thing changed."""
    whole = Principal(
        key_id=uuid7(),
        kind="organization",
        org_id=uuid7(),
        av=1,
        permissions=ALL_PERMISSIONS,
        limits=Limits(per_minute=100_000, per_day=1_000_000),
        subscription="active",
        features=frozenset({PLATFORM}),
    )
    return msgspec.structs.replace(whole, **changes)


def a_route(**changes: Any) -> Route:
    """A read that costs 1, one thing changed."""
    whole = Route(
        name="chats_list",
        method="GET",
        path="/api/models/{model_id}/chats",
        permission="api_chats_list",
        cost_credits=1,
        call="chats_list",
        retry=RetryClass.READ,
    )
    return msgspec.structs.replace(whole, **changes)


def a_credential() -> Credential:
    return Credential("organization", RING.digests(new_key("fgk_")))


@dataclass
class DirectoryDouble:
    """`auth`: keys by digest. `asked` counts the questions."""

    principals: dict[str, Principal] = field(default_factory=dict)
    asked: int = 0
    is_away: bool = False

    async def find(self, digests: tuple[tuple[str, str], ...]) -> Principal | None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise Refusal("UNAVAILABLE")
        return next((self.principals[digest] for _, digest in digests if digest in self.principals), None)

    def issue(self, principal: Principal, prefix: str = "fgk_") -> str:
        key = new_key(prefix)
        self.principals[RING.digests(key)[0][1]] = principal
        return key


@dataclass
class _Lease:
    id: UUID
    ref: str
    amount: int
    posted: int = 0
    is_open: bool = (
        True  # False: its counter is lost; what is left of it stays out of reach until its last call is posted
    )


_INSTALL = load_script("services.billing.store", "install.lua")


@dataclass
class BillingDouble:
    """`billing` and its ledger: leases out of a balance, posts usage events, says 402 only when it is true.

    `posts_at_once` False keeps posted debits back, as a consumer that is behind would.
    """

    redis: Redis | None = None
    prefix: str = ""
    slab: int = 20
    life_ms: int = 30_000
    balances: dict[UUID, int] = field(default_factory=dict)
    leases: dict[UUID, list[_Lease]] = field(default_factory=dict)
    posted: dict[UUID, int] = field(default_factory=dict)  # call -> cost
    voided: set[UUID] = field(default_factory=set)
    waived: int = 0
    is_away: bool = False
    delay_s: float = 0.0
    asked: int = 0
    running: int = 0
    running_max: int = 0

    def free(self, org_id: UUID) -> int:
        outstanding = sum(one.amount - one.posted for one in self.leases.get(org_id, []))
        return self.balances.get(org_id, 0) - outstanding

    async def open_lease(self, org_id: UUID, *, holder: str, ref: str, cost: int) -> LeaseOpened:
        self.asked += 1
        self.running += 1
        self.running_max = max(self.running, self.running_max)
        try:
            await asyncio.sleep(self.delay_s)
            if self.is_away:
                raise Refusal("UNAVAILABLE", detail="billing is away")
            return await self._open(org_id, holder, ref, cost)
        finally:
            self.running -= 1

    async def _open(self, org_id: UUID, holder: str, ref: str, cost: int) -> LeaseOpened:
        balance, free = self.balances.get(org_id, 0), self.free(org_id)
        if balance < cost:
            raise Refusal("INSUFFICIENT_CREDITS", required=cost, balance=balance)
        if free <= 0 or (free < cost and holder == "edge"):
            raise CreditsInUse
        amount = min(free, max(self.slab, cost))
        held = next((one for one in self.leases.get(org_id, []) if one.is_open and one.ref == ref), None)
        if held is not None:
            held.amount += amount
            lease = held
        else:
            lease = _Lease(uuid7(), ref, amount)
            self.leases.setdefault(org_id, []).append(lease)
        rest = self.free(org_id)
        if holder == "redis":
            assert self.redis is not None
            key = keys.lease(org_id, ref, prefix=self.prefix)
            until_ms = SystemClock().now_ms() + self.life_ms
            low = 0 if rest == 0 else self.slab // 4
            installed = await self.redis.run(
                _INSTALL,
                lambda _: (key,),
                lambda epoch: (str(lease.id), amount, until_ms, low, rest, 0 if held else 1, epoch.reign),
            )
            if int(installed) < 0:
                lease.is_open = False
                raise Refusal("UNAVAILABLE", detail=f"install answered {installed}")
        return LeaseOpened(lease_id=lease.id, granted=amount, rest=rest, life_ms=self.life_ms)

    def post(self, event: UsageRecorded) -> None:
        for record in event.records:
            if record.id in self.posted or record.id in self.voided:
                continue
            lease = next((one for one in self.leases.get(record.org_id, []) if one.id == record.lease_id), None)
            if lease is None or lease.posted + record.cost > lease.amount:
                self.waived += record.cost
                continue
            lease.posted += record.cost
            self.posted[record.id] = record.cost
            self.balances[record.org_id] -= record.cost
            lease.amount -= record.cost
            lease.posted -= record.cost

    def void(self, event: UsageVoided) -> None:
        for call_id in event.ids:
            self.voided.add(call_id)
            self.balances[event.org_id] += self.posted.pop(call_id, 0)


@dataclass
class BrokerDouble:
    """The publisher: confirms and hands over to billing; `fate` may refuse, lose or delay instead."""

    billing: BillingDouble
    fate: Callable[[Outgoing], Awaitable[None]] | None = None
    messages: list[Outgoing] = field(default_factory=list)

    async def publish(self, message: Outgoing, *, timeout_s: float = 5.0) -> None:
        if self.fate is not None:
            await self.fate(message)
        await asyncio.sleep(0)
        self.messages.append(message)
        if message.type == "edge.usage.recorded.v1":
            self.billing.post(msgspec.json.decode(message.body, type=UsageRecorded))
        elif message.type == "edge.usage.voided.v1":
            self.billing.void(msgspec.json.decode(message.body, type=UsageVoided))


@dataclass
class SessionsDouble:
    """`sessions`: every model there is answers `upstream`, or raises it; to another organization it is not there."""

    models: set[UUID] = field(default_factory=set)
    owners: dict[UUID, UUID] = field(default_factory=dict)  # model -> organization; a model without is everybody's
    accounts: dict[tuple[UUID, str], UUID] = field(default_factory=dict)  # organization, number -> model
    upstream: Upstream | Exception = field(default_factory=lambda: Upstream(200, PLATFORM_BODY, upstream_ms=1))
    delay_s: float = 0.0
    calls: list[tuple[Proxy, bytes]] = field(default_factory=list)

    async def proxy(self, call: Proxy, body: bytes, *, deadline_ms: int, may_repeat: bool) -> Upstream:
        self.calls.append((call, body))
        await asyncio.sleep(self.delay_s)
        model_id = call.model_id
        if call.account:
            model_id = self.accounts.get((call.org_id, call.account), NO_MODEL)
        if model_id not in self.models or self.owners.get(model_id, call.org_id) != call.org_id:
            raise Refusal("MODEL_NOT_FOUND")
        if call.model_id not in {model_id, NO_MODEL}:
            raise Refusal("MODEL_NOT_FOUND")
        if isinstance(self.upstream, Exception):
            raise self.upstream
        return msgspec.structs.replace(self.upstream, model_id=model_id) if call.account else self.upstream


@dataclass
class RunningEdge:
    """One edge on a port, and its neighbours."""

    url: str
    redis: Redis
    directory: DirectoryDouble
    billing: BillingDouble
    sessions: SessionsDouble
    services: ServicesDouble
    answers: KeptAnswers
    broker: BrokerDouble
    principals: CachedPrincipals
    admission: RedisAdmission
    broadcasts: Broadcasts
    usage: UsageGateway
    edge: Edge
    calls: CallCounts

    def organization(
        self, credits_: int = 1_000, *, is_bound: bool = False, **changes: Any
    ) -> tuple[str, Principal, UUID]:
        """A key, its principal and a model of the same organization; to which the key is bound, if it `is_bound`."""
        model_id = uuid7()
        principal = a_principal(**({"model_id": model_id} if is_bound else {}) | changes)
        self.billing.balances[principal.org_id] = credits_
        self.sessions.models.add(model_id)
        self.sessions.owners[model_id] = principal.org_id
        return self.directory.issue(principal, _PREFIXES[principal.kind]), principal, model_id


@contextlib.asynccontextmanager
async def running_edge(
    redis_url: str,
    *,
    directory: DirectoryDouble | None = None,
    billing: BillingDouble | None = None,
    sessions: Sessions | None = None,
    services: ServicesDouble | None = None,
    answers: KeptAnswers | None = None,
    prefix: str = "",
    require_https: bool = False,
    proxies: str = "",
    fence_ms: int = 40_000,
    replicas: int = 1,
    versions: Versions | None = None,
    limits: str = "",
    version_clock: Clock | None = None,
    redis_timeout_s: float = REDIS_SECONDS,
) -> AsyncIterator[RunningEdge]:
    """An edge as `services/edge/app.py` wires it, but for the bus. Two may share directory, billing and sessions."""
    clock = SystemClock()
    redis = Redis.create(redis_url, size_max=8, timeout_s=redis_timeout_s)
    redis_of_billing = Redis.create(redis_url, size_max=2, timeout_s=redis_timeout_s)
    directory = directory or DirectoryDouble()
    if billing is None:
        billing = BillingDouble(redis=redis_of_billing, prefix=prefix)
    billing.redis = billing.redis or redis_of_billing
    platform = sessions if isinstance(sessions, SessionsDouble) else SessionsDouble()
    services, answers = services or ServicesDouble(), answers or RememberedAnswers()
    broker = BrokerDouble(billing)
    usage = UsageGateway(broker, clock)
    calls = CallCounts(broker, clock)
    principals = CachedPrincipals(directory, clock, is_bypassed=lambda: False)
    redis.on_reset.append(principals.clear)
    admission = RedisAdmission(redis, Refills(redis, billing, prefix=prefix), clock, prefix=prefix)
    local = LocalAdmission(billing, clock, replicas=replicas)
    admit = Admit(admission=admission, local=local, principals=principals, clock=clock)
    edge = Edge(
        SURFACES,
        authenticate=Authenticate(
            ring=RING,
            principals=principals,
            failures=CountedFailures(redis, clock, prefix=prefix),
            uses=SharedKeys(clock),
            clock=clock,
        ),
        proxy_call=ProxyCall(
            admit=admit, sessions=platform, usage=usage, clock=clock, upstream_timeout_ms=30_000, fence_ms=fence_ms
        ),
        own_call=OwnCall(
            admit=admit, services=services, versions=admission, clock=clock, forms=SealedForms(services, clock)
        ),
        replay_answer=ReplayAnswer(admit=admit, answers=answers),
        versions=RequestedVersions(versions or Versions.with_dates(""), version_clock or clock),
        export_call=ExportCall(admit=admit, services=services, clock=clock),
        calls=calls,
        proxies=TrustedProxies.parse(proxies),
        limits=route_limits(limits),
        require_https=require_https,
    )
    await asyncio.gather(*(redis.ping() for _ in range(8)), return_exceptions=True)
    server = await HttpServer.start(edge, on_bad_http=edge.bad_http, host="127.0.0.1", port=0, drain_s=5.0)
    voids = asyncio.create_task(usage.run())
    try:
        yield RunningEdge(
            url=f"http://127.0.0.1:{server.port}",
            redis=redis,
            directory=directory,
            billing=billing,
            sessions=platform,
            services=services,
            answers=answers,
            broker=broker,
            principals=principals,
            admission=admission,
            broadcasts=Broadcasts(principals, admission),
            usage=usage,
            edge=edge,
            calls=calls,
        )
    finally:
        voids.cancel()
        await asyncio.gather(voids, return_exceptions=True)
        for open_one in (server, redis, redis_of_billing):
            await open_one.close()
