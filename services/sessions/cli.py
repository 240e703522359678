"""The operator's command line: `python -m services.sessions model connect --org ID --provider sandbox …`.

Each call prints one JSON object on standard output. What is refused is one line on standard error and exit status 2.
A password is read from standard input, never from the arguments, which every user of the machine can see.
"""

import argparse
import asyncio
import sys
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec

from libs.common.clock import SystemClock
from libs.common.contracts.auth import Actor
from libs.common.contracts.sessions import RefreshModel
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.errors import FangateError
from libs.common.http.client import HttpClient
from libs.common.settings import SettingsError, load
from libs.common.telemetry.log import configure_logging
from libs.common.worker import announce
from services.sessions.app import SERVICE, Stores, platforms_of, stores, use_cases
from services.sessions.domain.credentials import Credentials
from services.sessions.domain.errors import ModelNotConnected, ModelNotFound
from services.sessions.domain.model import Model, State
from services.sessions.settings import SessionsSettings
from services.sessions.store.sealed import SealedRows
from services.sessions.usecases import UseCases

WAIT_SECONDS: Final = 60.0  # for the service to sign in
LOOK_SECONDS: Final = 0.1
PASSWORD_BYTES_MAX: Final = 4_096
EXIT_REFUSED: Final = 2

Answer: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Desk:
    """What a command works with."""

    do: UseCases
    on: Stores
    providers: frozenset[str]
    announce: Callable[[], Awaitable[None]]  # bring to the bus what was committed


Command: TypeAlias = Callable[[Desk, argparse.Namespace], Awaitable[Answer]]


def main(argv: Sequence[str]) -> int:
    """Run one command; answers the exit status."""
    arguments = _parser().parse_args(argv)
    configure_logging(SERVICE, level="warning", stream=sys.stderr.buffer)
    try:
        settings = load(SessionsSettings, service=SERVICE)
        answer = asyncio.run(_run(settings, arguments))
    except (SettingsError, FangateError, OSError) as exc:
        print(" ".join(str(exc).split()), file=sys.stderr)
        return EXIT_REFUSED
    print(msgspec.json.encode(answer).decode())
    return 0


async def _run(settings: SessionsSettings, arguments: argparse.Namespace) -> Answer:
    sealed, clock, outbox = SealedRows(settings.vault()), SystemClock(), Outbox()
    dsn = settings.postgres_dsn.reveal()
    db = await Database.connect(dsn, schema=SERVICE, name=f"{SERVICE}-cli", size_max=3)
    http = await HttpClient.open(connections_max=2)
    try:
        platforms = platforms_of(settings, http, clock)

        async def say() -> None:
            await announce(db, outbox, settings.amqp_url, service=SERVICE)

        on = stores(db, outbox, sealed, clock)
        timeout_ms = int(1000 * settings.upstream_timeout_seconds)
        do = use_cases(
            on, platforms, clock, upstream_timeout_ms=timeout_ms, forms=settings.forms(), paces=settings.paces()
        )
        command: Command = arguments.command
        answer = await command(Desk(do, on, frozenset(platforms.providers), say), arguments)
        await say()
        return answer
    finally:
        await http.close()
        await db.close()


# Commands, in the order of the help.


async def _connect(desk: Desk, arguments: argparse.Namespace) -> Answer:
    if arguments.provider not in desk.providers:
        raise SettingsError(f"provider {arguments.provider} is not set up: its URL is missing")
    password = sys.stdin.readline(PASSWORD_BYTES_MAX).rstrip("\r\n")
    if not password:
        raise SettingsError("--password-stdin: no password on standard input")
    model = await desk.do.ask_connect(
        arguments.org,
        provider=arguments.provider,
        label=arguments.label,
        credentials=Credentials(email=arguments.email, password=password),
        code=arguments.code,
    )
    await desk.announce()
    model = await _settled(desk, model.org_id, model.model_id, unless=(State.CONNECTING, State.REFRESHING))
    if model.state not in (State.CONNECTED, State.AWAITING_2FA):
        raise ModelNotConnected(f"Model is {model.state}", detail=model.reason, state=str(model.state))
    return _shown(model)


async def _list(desk: Desk, arguments: argparse.Namespace) -> Answer:
    return {"models": [_shown(model) for model in await desk.on.models.models_of(arguments.org)]}


async def _refresh(desk: Desk, arguments: argparse.Namespace) -> Answer:
    """Enqueue a refresh and wait for what comes of it: a newer version of the model."""
    org_id = await _organization(desk, arguments.model_id)
    before = await _model(desk, org_id, arguments.model_id)
    async with desk.on.models.exclusive(org_id, arguments.model_id) as held:
        await held.nudge(RefreshModel(org_id=org_id, model_id=arguments.model_id))
    await desk.announce()
    return _shown(await _settled(desk, org_id, arguments.model_id, unless=(State.REFRESHING,), after=before.version))


async def _disconnect(desk: Desk, arguments: argparse.Namespace) -> Answer:
    org_id = await _organization(desk, arguments.model_id)
    return _shown(await desk.do.disconnect_model(org_id, arguments.model_id, by=Actor()))


async def _rewrap(desk: Desk, _arguments: argparse.Namespace) -> Answer:
    return {"rewrapped": await desk.on.models.rewrap()}


async def _organization(desk: Desk, model_id: uuid.UUID) -> uuid.UUID:
    org_id = await desk.on.models.organization_of(model_id)
    if org_id is None:
        raise ModelNotFound
    return org_id


async def _model(desk: Desk, org_id: uuid.UUID, model_id: uuid.UUID) -> Model:
    live = await desk.on.models.find(org_id, model_id)
    if live is None:
        raise ModelNotFound
    return live.model


async def _settled(
    desk: Desk, org_id: uuid.UUID, model_id: uuid.UUID, *, unless: tuple[State, ...], after: int = 0
) -> Model:
    """The model once it is newer than version `after` and in none of the states `unless`; the service does the work."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + WAIT_SECONDS
    while True:
        model = await _model(desk, org_id, model_id)
        if model.version > after and model.state not in unless:
            return model
        if loop.time() > give_up:
            raise ModelNotConnected(f"Model is {model.state} still after {WAIT_SECONDS:.0f} s: is the service running?")
        await asyncio.sleep(LOOK_SECONDS)


def _shown(model: Model) -> Answer:
    return {
        "model_id": model.model_id,
        "account": model.account,
        "state": model.state,
        "provider": model.provider,
        "label": model.label,
        "reason": model.reason,
        "session_ends_at": model.session_ends_at,
        "version": model.version,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.sessions", description=(__doc__ or "").split("\n")[0])
    things = parser.add_subparsers(title="things", required=True, metavar="THING")

    model = things.add_parser("model", help="connected creator accounts").add_subparsers(required=True, metavar="VERB")
    connect = model.add_parser("connect", help="connect an account; the label stands for it from then on")
    connect.add_argument("--org", type=uuid.UUID, required=True)
    connect.add_argument("--provider", choices=("sandbox", "session"), required=True)
    connect.add_argument("--label", required=True)
    connect.add_argument("--email", required=True)
    connect.add_argument("--password-stdin", action="store_true", required=True, help="one line on standard input")
    connect.add_argument("--code", default="", help="two-factor code; may be given at once or when it is asked for")
    connect.set_defaults(command=_connect)
    listing = model.add_parser("list", help="the models of an organization")
    listing.add_argument("--org", type=uuid.UUID, required=True)
    listing.set_defaults(command=_list)
    for verb, command, purpose in (
        ("refresh", _refresh, "renew the session now; also brings a model back from sync_lost"),
        ("disconnect", _disconnect, "sign out and wipe what the vault holds"),
    ):
        one = model.add_parser(verb, help=purpose)
        one.add_argument("model_id", type=uuid.UUID)
        one.set_defaults(command=command)

    vault = things.add_parser("vault", help="secrets at rest").add_subparsers(required=True, metavar="VERB")
    rewrap = vault.add_parser("rewrap", help="bring every secret under the active key, so that older keys may go")
    rewrap.set_defaults(command=_rewrap)
    return parser
