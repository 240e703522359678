"""Wires the edge together: every object once, by hand, in order."""

import contextlib
from typing import Any

from libs.common.bus.broadcast import Broadcast
from libs.common.bus.bus import Bus
from libs.common.clock import Clock, SystemClock
from libs.common.db.migrate import schema_is_current
from libs.common.db.pool import Database
from libs.common.errors import Unavailable
from libs.common.http.server import HttpServer
from libs.common.peppers import PepperRing
from libs.common.process import Process
from libs.common.redis.client import Redis, RedisAway
from libs.common.settings import SettingsError, load
from libs.common.telemetry import spans
from libs.common.telemetry.trace import accept_traceparent
from services.edge.domain.catalogue import route_limits
from services.edge.domain.versions import Versions
from services.edge.entry.account_pages import AccountPages
from services.edge.entry.broadcasts import BINDINGS, Broadcasts
from services.edge.entry.connect_page import ConnectPage
from services.edge.entry.consent_callback import ConsentCallback
from services.edge.entry.consent_page import ConsentPages
from services.edge.entry.docs import DocsPages
from services.edge.entry.front import Front, Listed, Prefixed
from services.edge.entry.http import Edge
from services.edge.entry.join_page import JoinPage
from services.edge.entry.link_pages import LinkPages
from services.edge.entry.oauth_endpoints import TOKEN_CALLS_MAX, OAuthEndpoints
from services.edge.entry.password_page import PasswordPage
from services.edge.entry.proxies import TrustedProxies
from services.edge.entry.security_txt import SecurityTxt
from services.edge.entry.surfaces import SURFACES
from services.edge.entry.timers import timers
from services.edge.entry.traced import TracedFront, trace_of_span
from services.edge.entry.versions import RequestedVersions
from services.edge.gateways.auth import AuthDirectory
from services.edge.gateways.billing import BillingLeases
from services.edge.gateways.calls import CallCounts
from services.edge.gateways.forms import SealedForms, SealedPasswords
from services.edge.gateways.services import ServicesOverBus
from services.edge.gateways.sessions import SessionsOverBus
from services.edge.gateways.usage import UsageGateway
from services.edge.settings import EdgeSettings
from services.edge.store.admission import RedisAdmission
from services.edge.store.failures import CountedFailures
from services.edge.store.idempotency import PostgresAnswers
from services.edge.store.local import LocalAdmission
from services.edge.store.pace import CountedCalls
from services.edge.store.principals import CachedPrincipals
from services.edge.store.refills import Refills
from services.edge.store.sealed_answers import SealedAnswers
from services.edge.store.sharing import SharedKeys
from services.edge.usecases.admit import Admit
from services.edge.usecases.ask_consent import AskConsent
from services.edge.usecases.authenticate import Authenticate
from services.edge.usecases.authorize_app import AuthorizeApp
from services.edge.usecases.export_call import ExportCall
from services.edge.usecases.follow_link import FollowLink
from services.edge.usecases.join_organization import JoinOrganization
from services.edge.usecases.keep_session import KeepSession
from services.edge.usecases.manage_account import ManageAccount
from services.edge.usecases.own_call import OwnCall
from services.edge.usecases.proxy_call import ProxyCall
from services.edge.usecases.replay_answer import ReplayAnswer
from services.edge.usecases.set_password import SetUsersPassword
from services.edge.usecases.trade_tokens import TradeTokens

BROADCASTS_AWAY_S_MAX = 5.0  # deaf for longer, the edge asks auth about every key
PENDING_MAX = 1_024  # calls that wait for other services
PENDING_PER_ORG_MAX = 256  # one organization cannot take all of them, and its refill still finds room beside 64 calls
DRAIN_VOIDS_SECONDS = 2.0  # of the drain are kept for the voids of calls that were cut off


async def build(process: Process) -> None:
    """Start an edge; returns when it listens."""
    settings = load(EdgeSettings, service="edge")
    try:
        ring = PepperRing.parse(settings.key_peppers.reveal())
        proxies = TrustedProxies.parse(settings.trusted_proxies)
        versions = Versions.with_dates(settings.api_version_dates)
        limits = route_limits(settings.route_limits)
    except ValueError as exc:
        names = "KEY_PEPPERS, TRUSTED_PROXIES, API_VERSION_DATES or ROUTE_LIMITS"
        raise SettingsError(f"FANGATE_{names}: {exc}") from None
    clock = SystemClock()
    fence_ms = int(settings.request_fence_seconds * 1_000)

    answers = await kept_answers(process, settings, SealedAnswers(ring), fence_ms)
    redis = await process.closing(Redis.create(settings.redis_url.reveal()))
    bus = await process.closing(
        await Bus.connect(
            settings.amqp_url.reveal(), service="edge", reply=settings.bus_reply, pending_max=PENDING_MAX,
            pending_per_org_max=PENDING_PER_ORG_MAX,
        )
    )  # fmt: skip
    process.start("bus", bus.run())
    process.ready_when("bus", bus.check)
    usage = UsageGateway(bus.publisher, clock)
    process.start("voids", usage.run())
    calls = CallCounts(bus.publisher, clock)
    process.start("calls", calls.run())
    leases = BillingLeases(bus, clock)

    principals = CachedPrincipals(
        AuthDirectory(bus, clock), clock, is_bypassed=lambda: broadcast.away_for_s > BROADCASTS_AWAY_S_MAX
    )
    redis.on_reset.append(principals.clear)  # a promoted replica may lack the last auth version
    prefix = settings.redis_prefix
    refills = Refills(redis, leases, prefix=prefix)
    admission = RedisAdmission(redis, refills, clock, prefix=prefix)
    admit = Admit(
        admission=admission,
        local=LocalAdmission(leases, clock, replicas=settings.replicas_edge),
        principals=principals,
        clock=clock,
    )
    told = Broadcasts(principals, admission)
    broadcast = Broadcast(
        settings.amqp_url.reveal(),
        service="edge",
        bindings=BINDINGS,
        on_message=told.on_message,
        on_connected=told.on_connected,
    )
    process.start("broadcasts", broadcast.run())

    services = ServicesOverBus(bus)
    forms = SealedForms(services, clock)
    recorder = spans.recorder()
    edge = Edge(
        SURFACES,
        authenticate=Authenticate(
            ring=ring,
            principals=principals,
            failures=CountedFailures(redis, clock, prefix=prefix),
            uses=SharedKeys(clock),
            clock=clock,
        ),
        proxy_call=ProxyCall(
            admit=admit,
            sessions=SessionsOverBus(bus),
            usage=usage,
            clock=clock,
            upstream_timeout_ms=int(settings.upstream_timeout_seconds * 1_000),
            fence_ms=fence_ms,
        ),
        own_call=OwnCall(admit=admit, services=services, versions=admission, clock=clock, forms=forms),
        replay_answer=ReplayAnswer(admit=admit, answers=answers),
        versions=RequestedVersions(versions, clock),
        calls=calls,
        export_call=ExportCall(admit=admit, services=services, clock=clock),
        proxies=proxies,
        limits=limits,
        require_https=settings.refuses_plain_http,
        base_url=settings.base_url,
        accept_trace=accept_traceparent if recorder is None else trace_of_span,
    )

    pages, oauth = people(settings, ring, proxies, services, forms, admission, redis, clock)
    docs = DocsPages(SURFACES, versions)
    with contextlib.suppress(
        RedisAway
    ):  # connected before the first call needs it; the edge starts without it all the same
        await redis.ping()
    files: list[Listed] = [oauth]
    if settings.security_contact:
        files.append(SecurityTxt(settings.security_contact, clock, base_url=settings.base_url))
    front = Front(edge, links=pages, docs=docs, files=files)
    server = await HttpServer.start(
        front if recorder is None else TracedFront(front, recorder, route_name=edge.route_name),
        on_bad_http=edge.bad_http,
        host=settings.host,
        port=settings.port,
        drain_s=max(1.0, settings.drain_seconds - DRAIN_VOIDS_SECONDS),
        reuse_port=settings.edge_processes > 1,
    )
    await process.closing(server)
    process.on_drain("http", server.close)
    process.on_drain("voids", usage.flush_voids)
    process.on_drain("calls", calls.flush)


def people(
    settings: EdgeSettings, ring: PepperRing, proxies: TrustedProxies, services: ServicesOverBus, forms: SealedForms,
    admission: RedisAdmission, redis: Redis, clock: Clock,
) -> tuple[tuple[Prefixed, ...], OAuthEndpoints]:  # fmt: skip
    """The pages for people, and the endpoints of OAuth, which are among them."""

    def failures(scope: str) -> CountedFailures:
        return CountedFailures(redis, clock, prefix=settings.redis_prefix, scope=scope)

    wiring: dict[str, Any] = {
        "proxies": proxies, "require_https": settings.refuses_plain_http, "base_url": settings.base_url,
    }  # fmt: skip
    passwords = SealedPasswords(services, clock)
    ask_consent = AskConsent(services, forms, clock)
    connect_page = ConnectPage(FollowLink(services, forms, clock), ask_consent)
    link_pages = (
        connect_page,
        JoinPage(JoinOrganization(services, passwords, clock)),
        PasswordPage(SetUsersPassword(services, passwords, clock)),
    )
    sessions = KeepSession(ring, services, passwords, clock)
    account = ManageAccount(services, sessions, passwords, admission, clock)
    consent = AuthorizeApp(services, sessions, admission, clock)
    pace = CountedCalls(redis, clock, calls_max=TOKEN_CALLS_MAX, prefix=settings.redis_prefix)
    tokens = TradeTokens(ring, services, admission, clock)
    oauth = OAuthEndpoints(tokens, pace, failures=failures("client-"), **wiring)
    came_back = ConsentCallback(
        ask_consent,
        link_prefix=connect_page.prefix,
        failures=failures("connect-"),
        proxies=proxies,
        require_https=settings.refuses_plain_http,
    )
    pages: tuple[Prefixed, ...] = (
        came_back,  # before the links: its path is among theirs
        *(LinkPages(page, failures=failures("connect-"), **wiring) for page in link_pages),
        ConsentPages(consent, account, sessions, failures=failures("consent-"), **wiring),
        AccountPages(account, sessions, accounts=failures("account-"), failures=failures("sign-in-"), **wiring),
        oauth,
    )
    return pages, oauth


async def kept_answers(
    process: Process, settings: EdgeSettings, seals: SealedAnswers, fence_ms: int
) -> PostgresAnswers:
    """The records of idempotency keys. Without Postgres the edge starts and serves all calls but those under a key."""
    dsn = settings.postgres_dsn.reveal()
    db = await process.closing(await Database.connect(dsn, schema="edge", name="edge", size_min=0))
    has_been_current = False

    async def schema() -> None:
        # Once seen it stays: an outage of Postgres must not take every edge away from its balancer at once.
        nonlocal has_been_current
        has_been_current = has_been_current or await schema_is_current(db, "edge")
        if not has_been_current:
            raise Unavailable(detail="migrations are missing: python -m libs.common.db.migrate")

    process.ready_when("schema", schema)
    answers = PostgresAnswers(db, seals, fence_ms=fence_ms)
    for timer in timers(forget_old_keys=answers.sweep):
        process.start(timer.name, timer.run())
    return answers
