"""The composition root of sessions: every object is built here, once, in order."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from libs.common.clock import Clock, SystemClock
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.http.client import HttpClient
from libs.common.process import Process
from libs.common.sealing import FormKeys
from libs.common.settings import load
from libs.common.telemetry import spans
from libs.common.telemetry.metrics import LATENCY_BUCKETS, Counter, Histogram
from libs.common.worker import Worker
from services.sessions.domain.pace import Rate
from services.sessions.domain.ports import Consents, Provider
from services.sessions.entry.consumers import consumers
from services.sessions.entry.timers import timers
from services.sessions.gateways.providers.absent import Providers
from services.sessions.gateways.providers.fanvue import FanvueProvider
from services.sessions.gateways.providers.session import SessionProvider
from services.sessions.gateways.providers.traced import TracedProvider
from services.sessions.sandbox.signin import PASSWORD as SANDBOX_PASSWORD
from services.sessions.settings import SessionsSettings
from services.sessions.store.model_cache import CachedModels
from services.sessions.store.postgres import PostgresModels, PostgresSweepings
from services.sessions.store.sealed import SealedRows
from services.sessions.store.upstream_calls import PostgresUpstreamCalls
from services.sessions.store.views import PostgresModelViews
from services.sessions.usecases import UseCases
from services.sessions.usecases.connect_model import AskConnect, ConnectModel
from services.sessions.usecases.connect_now import ConnectNow
from services.sessions.usecases.create_model import CreateModel
from services.sessions.usecases.delete_model import DeleteModel
from services.sessions.usecases.disconnect_model import DisconnectModel
from services.sessions.usecases.manage_model import ManageModel
from services.sessions.usecases.pace_calls import PaceCalls
from services.sessions.usecases.proxy_call import ProxyCall
from services.sessions.usecases.refresh_model import RefreshModel
from services.sessions.usecases.refresh_session import RefreshSession
from services.sessions.usecases.use_consent import UseConsent
from services.sessions.usecases.use_link import UseLink

SERVICE = "sessions"
ANSWER_BYTES_MAX = (8 << 20) - (16 << 10)  # of a platform: with its head it must fit an rpc reply of 8 MiB
CONNECTIONS_MAX = 20  # to Postgres: held models take up to two each, calls and timers share the rest
# Of a transaction: one that holds a model waits for its platform meanwhile, 20 s for each answer.
SILENCE_SECONDS_MAX = 60

CALLS_PACED = Counter("fangate_model_pacing_total", "Calls to paced platform accounts by their turn", ["outcome"])
PACE_SECONDS = Histogram(
    "fangate_model_pacing_wait_seconds", "How long calls waited for their turn", buckets=LATENCY_BUCKETS
)
SESSION_REFRESHES = Counter("fangate_session_refresh_total", "Refreshes of sessions", ["outcome"])


@dataclass(frozen=True, slots=True)
class Stores:
    """Everything on Postgres."""

    models: PostgresModels
    cache: CachedModels
    calls: PostgresUpstreamCalls
    sweepings: PostgresSweepings
    views: PostgresModelViews


async def build(process: Process) -> None:
    """Wire the service into `process`."""
    settings = load(SessionsSettings, service=SERVICE)
    vault, forms = settings.vault(), settings.forms()
    worker = await Worker.open(
        process, settings, connections_max=CONNECTIONS_MAX, idle_in_transaction_s=SILENCE_SECONDS_MAX
    )
    http = await process.closing(await HttpClient.open(body_bytes_max=ANSWER_BYTES_MAX))
    clock = SystemClock()
    on = stores(worker.db, worker.outbox, SealedRows(vault), clock)
    platforms = platforms_of(settings, http, clock)
    do = use_cases(
        on, platforms, clock, upstream_timeout_ms=int(1000 * settings.upstream_timeout_seconds), forms=forms,
        paces=settings.paces(), processes=settings.replicas_sessions,
    )  # fmt: skip

    for timer in timers(
        enqueue_due_refreshes=on.sweepings.enqueue_due_refreshes,
        nudge_stuck=on.sweepings.nudge_stuck,
        close_old_calls=on.calls.close_old_calls,
        look=on.cache.look,
        count_states=on.models.count_states,
        count_overdue=on.sweepings.count_overdue,
        drop_old_links=on.sweepings.drop_old_links,
    ):
        process.start(timer.name, timer.run())
    await worker.serve(consumers(do))


@dataclass(frozen=True, slots=True)
class Platforms:
    """The platforms that are set up, by provider. `consents` are those that ask their users themselves."""

    providers: Mapping[str, Provider]
    consents: Mapping[str, Consents]


def platforms_of(settings: SessionsSettings, http: HttpClient, clock: Clock) -> Platforms:
    """As the settings say. Raises SettingsError."""
    providers = Providers(
        (name, SessionProvider(http, name=name, url=url, dialect=dialect, clock=clock))
        for name, (url, dialect) in settings.platforms().items()
    )
    consents: dict[str, Consents] = {}
    if (app := settings.fanvue()) is not None:
        providers["fanvue"] = consents["fanvue"] = FanvueProvider(http, app, clock=clock)
    if (recorder := spans.recorder()) is not None:
        providers = Providers((name, TracedProvider(name, each, recorder)) for name, each in providers.items())
    return Platforms(providers, consents)


def stores(db: Database, outbox: Outbox, sealed: SealedRows, clock: Clock) -> Stores:
    """The stores on one pool."""
    models = PostgresModels(db, outbox, sealed)
    return Stores(
        models=models,
        cache=CachedModels(models, clock),
        calls=PostgresUpstreamCalls(db),
        sweepings=PostgresSweepings(db, outbox),
        views=PostgresModelViews(db),
    )


def use_cases(
    on: Stores,
    platforms: Platforms,
    clock: Clock,
    *,
    upstream_timeout_ms: int,
    forms: FormKeys,
    paces: Mapping[str, Rate],
    processes: int = 1,
) -> UseCases:
    """Every use case on these ports."""
    providers, consents = platforms.providers, platforms.consents
    chance = random.random

    def count(outcome: str) -> None:
        SESSION_REFRESHES.labels(outcome).inc()

    turns = {outcome: CALLS_PACED.labels(outcome) for outcome in ("passed", "waited", "refused")}

    def count_paced(outcome: str) -> None:
        turns[outcome].inc()

    refresh = RefreshSession(
        store=on.models, models=on.cache, providers=providers, clock=clock, chance=chance, count=count
    )
    pace = PaceCalls(paces, clock=clock, count=count_paced, observe_wait=PACE_SECONDS.observe, processes=processes)
    connect = ConnectModel(on.models, on.cache, providers, consents, clock, chance)
    connect_now = ConnectNow(connect)
    disconnect = DisconnectModel(on.models, on.cache, providers)
    delete = DeleteModel(on.models, on.cache, providers)
    return UseCases(
        ask_connect=AskConnect(on.models),
        connect_model=connect,
        create_model=CreateModel(on.models, on.views, connect_now, clock, providers.keys(), SANDBOX_PASSWORD),
        delete_model=delete,
        disconnect_model=disconnect,
        manage_model=ManageModel(on.models, on.views, refresh, connect_now, disconnect, delete, clock, forms),
        proxy_call=ProxyCall(on.cache, on.calls, providers, refresh, clock, upstream_timeout_ms, pace),
        refresh_model=RefreshModel(on.cache, refresh),
        refresh_session=refresh,
        use_consent=UseConsent(on.models, on.views, consents, connect_now, clock, forms),
        use_link=UseLink(on.models, on.views, connect_now, clock, forms),
    )
