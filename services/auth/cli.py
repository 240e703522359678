"""The operator's command line: `python -m services.auth org create --name "Example"`.

Each call prints one JSON object on standard output. What is refused is one line on standard error and exit status 2.
Exit status 3: the change stands, but the bus did not take its announcement; the running service sends it when it can.
"""

import argparse
import asyncio
import hashlib
import secrets
import sys
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import msgspec

from libs.common.bus import BusError
from libs.common.clock import Clock, SystemClock
from libs.common.contracts.auth import FEATURES
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.errors import FangateError
from libs.common.settings import SettingsError, load
from libs.common.telemetry.log import configure_logging
from libs.common.worker import announce
from services.auth.app import SERVICE, app_use_cases, use_cases
from services.auth.domain.app import App, AppState
from services.auth.domain.app_ports import DomainProofs
from services.auth.domain.errors import Conflict
from services.auth.domain.key import Key, KeyKind
from services.auth.domain.organization import Organization, OrganizationState
from services.auth.domain.permission import PERMISSIONS
from services.auth.domain.role import OWNER
from services.auth.domain.scope import SCOPES
from services.auth.gateways.argon2 import Argon2Passwords
from services.auth.gateways.sealed import OpenedForms
from services.auth.settings import AuthSettings
from services.auth.store.apps import PostgresApps, PostgresTokens
from services.auth.store.calls import PostgresCallRecords
from services.auth.store.postgres import PostgresAccounts, PostgresKeyHolders
from services.auth.store.sign_in import PostgresSignIns
from services.auth.store.webhooks import PostgresAnnouncements, SealedSecrets
from services.auth.usecases import AppUseCases, UseCases
from services.auth.usecases.create_app import AppOrder
from services.auth.usecases.issue_key import KeyOrder
from services.auth.usecases.issue_personal_key import PersonalKeyOrder
from services.auth.usecases.make_announcement import SUBJECTS, MakeAnnouncement

ANNOUNCE_SECONDS: Final = 5.0  # an operator waits this long for the bus, then reads that it is away
EXIT_REFUSED: Final = 2
EXIT_NOT_ANNOUNCED: Final = 3

Answer: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Desk:
    """What a command works with."""

    do: UseCases
    do_apps: AppUseCases
    apps: PostgresApps
    sign_ins: PostgresSignIns
    accounts: PostgresAccounts
    holders: PostgresKeyHolders
    records: PostgresCallRecords
    announcements: PostgresAnnouncements
    clock: Clock
    rewrap_secrets: Callable[[], Awaitable[int]]  # of webhooks, under the active key


Command: TypeAlias = Callable[[Desk, argparse.Namespace], Awaitable[Answer]]


def main(argv: Sequence[str]) -> int:
    """Run one command; answers the exit status."""
    arguments = _parser().parse_args(argv)
    configure_logging(SERVICE, level="warning", stream=sys.stderr.buffer)
    try:
        settings = load(AuthSettings, service=SERVICE)
        return asyncio.run(_run(settings, arguments))
    except (SettingsError, FangateError) as exc:
        return _complain(str(exc), EXIT_REFUSED)


async def _run(settings: AuthSettings, arguments: argparse.Namespace) -> int:
    peppers = settings.pepper_ring()
    db = await Database.connect(settings.postgres_dsn.reveal(), schema=SERVICE, name=f"{SERVICE}-cli", size_max=2)
    try:
        outbox, clock = Outbox(), SystemClock()
        accounts, holders, records = PostgresAccounts(db, outbox), PostgresKeyHolders(db), PostgresCallRecords(db)
        apps, tokens, sign_ins = PostgresApps(db), PostgresTokens(db), PostgresSignIns(db)
        passwords, forms = Argon2Passwords(), OpenedForms(settings.sealed_passwords())
        do = use_cases(accounts, holders, records, peppers, clock)
        do_apps = app_use_cases(accounts, apps, tokens, sign_ins, passwords, forms, _NoProofs(), do, peppers, clock)
        sealed = SealedSecrets(settings.webhook_vault())
        desk = Desk(
            do=do, do_apps=do_apps, apps=apps, sign_ins=sign_ins, accounts=accounts, holders=holders, records=records,
            clock=clock, announcements=PostgresAnnouncements(db, outbox), rewrap_secrets=lambda: sealed.rewrap(db),
        )  # fmt: skip
        command: Command = arguments.command
        answer = await command(desk, arguments)
        print(msgspec.json.encode(answer).decode(), flush=True)
        return await _announce(settings, db, outbox)
    finally:
        await db.close()


async def _announce(settings: AuthSettings, db: Database, outbox: Outbox) -> int:
    """Bring what was committed to the bus before the command ends."""
    try:
        async with asyncio.timeout(ANNOUNCE_SECONDS):
            await announce(db, outbox, settings.amqp_url, service=SERVICE)
    except (FangateError, BusError, TimeoutError) as exc:
        return _complain(f"done, but not announced yet, the bus is away: {exc}", EXIT_NOT_ANNOUNCED)
    return 0


class _NoProofs(DomainProofs):
    """Domains are proved through the running service: it has the resolver and the guarded client."""

    async def texts(self, name: str) -> list[str]:
        raise Conflict(f"{name} is not looked up from the command line")

    async def well_known(self, domain: str) -> str:
        raise Conflict(f"{domain} is not looked up from the command line")


def _complain(text: str, status: int) -> int:
    print(" ".join(text.split()), file=sys.stderr)
    return status


# Commands, in the order of the help.


async def _org_create(desk: Desk, arguments: argparse.Namespace) -> Answer:
    organization = await desk.do.create_organization(
        name=arguments.name,
        org_id=arguments.org_id,
        is_sandbox=arguments.sandbox,
        owner_email=arguments.owner_email,
    )
    if features := _names(arguments.enable):
        await desk.do.set_features(organization.org_id, enable=features)
    return {"org_id": organization.org_id}


async def _org_list(desk: Desk, _arguments: argparse.Namespace) -> Answer:
    return {"organizations": [_shown_organization(each) for each in await desk.accounts.organizations()]}


async def _org_show(desk: Desk, arguments: argparse.Namespace) -> Answer:
    return _shown_organization(await desk.accounts.organization(arguments.org))


def _set_state(state: OrganizationState) -> Command:
    async def set_state(desk: Desk, arguments: argparse.Namespace) -> Answer:
        av = await desk.do.set_organization_state(arguments.org, state)
        moved = await desk.do_apps.outdate_grantors(arguments.org)
        return {"org_id": arguments.org, "state": state, "av": av, "outdated_grantors": len(moved)}

    return set_state


async def _org_feature(desk: Desk, arguments: argparse.Namespace) -> Answer:
    features, av = await desk.do.set_features(
        arguments.org, enable=_names(arguments.enable), disable=_names(arguments.disable)
    )
    return {"org_id": arguments.org, "features": sorted(features), "av": av}


async def _user_create(desk: Desk, arguments: argparse.Namespace) -> Answer:
    user = await desk.do.add_user(arguments.org, email=arguments.email, role=arguments.role)
    return {"user_id": user.user_id}


def _rest(*, is_suspended: bool) -> Command:
    async def rest(desk: Desk, arguments: argparse.Namespace) -> Answer:
        org_id = await desk.sign_ins.organization_of_user(arguments.user)
        av = await desk.do.update_user(org_id, arguments.user, is_suspended=is_suspended)
        moved = await desk.do_apps.outdate_grantors(org_id, arguments.user)
        state = "suspended" if is_suspended else "active"
        return {"user_id": arguments.user, "org_id": org_id, "state": state, "av": av, "outdated_grantors": len(moved)}

    return rest


async def _user_password_link(desk: Desk, arguments: argparse.Namespace) -> Answer:
    org_id, token = await desk.sign_ins.organization_of_user(arguments.user), secrets.token_urlsafe(32)
    made = await desk.do_apps.link_password(org_id, arguments.user, hashlib.sha256(token.encode()).digest())
    return {"user_id": arguments.user, "path": f"/password/{token}", "expires_at": made.expires_at}


async def _user_set_password(desk: Desk, arguments: argparse.Namespace) -> Answer:
    org_id = await desk.sign_ins.organization_of_user(arguments.user)
    await desk.do_apps.set_password.by_operator(org_id, arguments.user, sys.stdin.read().rstrip("\n"))
    return {"user_id": arguments.user, "org_id": org_id}


async def _app_create(desk: Desk, arguments: argparse.Namespace) -> Answer:
    made = await desk.do_apps.create_app(
        AppOrder(
            org_id=arguments.org,
            owner_id=arguments.user,
            name=arguments.name,
            redirect_uris=tuple(arguments.redirect),
            is_confidential=not arguments.public,
        )
    )
    return {"app_id": made.app_id, "client_id": made.app_id, "client_secret": made.secret or None}


async def _app_rotate(desk: Desk, arguments: argparse.Namespace) -> Answer:
    org_id = await desk.apps.organization_of_app(arguments.app_id)
    made = await desk.do_apps.rotate_app_secret(org_id, arguments.app_id, overlap_seconds=arguments.overlap_seconds)
    return {"app_id": made.app_id, "client_id": made.app_id, "client_secret": made.secret}


async def _app_list(desk: Desk, arguments: argparse.Namespace) -> Answer:
    page, total = await desk.apps.page(arguments.org, limit=1_000, offset=0)
    return {"apps": [_shown_app(each.app) for each in page], "total": total}


def _end_app(state: AppState) -> Command:
    async def end_app(desk: Desk, arguments: argparse.Namespace) -> Answer:
        org_id = await desk.apps.organization_of_app(arguments.app_id)
        moved = await desk.do_apps.end_app(org_id, arguments.app_id, state)
        return {"app_id": arguments.app_id, "org_id": org_id, "state": state, "organizations_cut_off": len(moved)}

    return end_app


async def _role_create(desk: Desk, arguments: argparse.Namespace) -> Answer:
    role = await desk.do.create_role(arguments.org, name=arguments.name, permissions=_permissions(arguments))
    return {"role_id": role.role_id}


async def _role_update(desk: Desk, arguments: argparse.Namespace) -> Answer:
    av = await desk.do.update_role(arguments.org, name=arguments.name, permissions=_permissions(arguments))
    return {"name": arguments.name, "av": av}


async def _role_list(desk: Desk, arguments: argparse.Namespace) -> Answer:
    await desk.accounts.organization(arguments.org)
    return {
        "roles": [
            {
                "role_id": role.role_id,
                "name": role.name,
                "is_built_in": role.is_built_in,
                "permissions": sorted(role.permissions),
            }
            for role in await desk.accounts.roles(arguments.org)
        ]
    }


async def _permission_list(_desk: Desk, _arguments: argparse.Namespace) -> Answer:
    return {"permissions": sorted(PERMISSIONS)}


async def _key_create(desk: Desk, arguments: argparse.Namespace) -> Answer:
    issued = await desk.do.issue_key(
        KeyOrder(
            org_id=arguments.org,
            role=arguments.role,
            label=arguments.label,
            kind=None if arguments.kind is None else KeyKind(arguments.kind),
            expires_at=_expiry(desk, arguments),
            key_per_minute=arguments.key_per_minute,
            model_id=arguments.model,
            api_version=arguments.api_version,
            read_only=arguments.read_only,
            addresses=tuple(_names(arguments.addresses)),
        )
    )
    return {"key_id": issued.key_id, "key": issued.text}


async def _key_list(desk: Desk, arguments: argparse.Namespace) -> Answer:
    await desk.accounts.organization(arguments.org)
    roles = {role.role_id: role.name for role in await desk.accounts.roles(arguments.org)}
    now = desk.clock.now()
    return {"keys": [_shown_key(key, roles, now) for key in await desk.accounts.keys(arguments.org)]}


async def _key_revoke(desk: Desk, arguments: argparse.Namespace) -> Answer:
    org_id = await desk.accounts.organization_of_key(arguments.key_id)
    av = await desk.do.revoke_key(org_id, arguments.key_id)
    return {"key_id": arguments.key_id, "org_id": org_id, "state": "revoked", "av": av}


async def _personal_key_create(desk: Desk, arguments: argparse.Namespace) -> Answer:
    issued = await desk.do.issue_personal_key(
        PersonalKeyOrder(
            org_id=arguments.org,
            user_id=arguments.user,
            label=arguments.label,
            scopes=None if arguments.scopes is None else _names(arguments.scopes),
            model_id=arguments.model,
            expires_at=_expiry(desk, arguments),
            key_per_minute=arguments.key_per_minute,
            read_only=arguments.read_only,
            addresses=tuple(_names(arguments.addresses)),
            api_version=arguments.api_version,
        )
    )
    return {"key_id": issued.key.key_id, "key": issued.text, "scopes": sorted(issued.key.scopes or ())}


async def _scope_list(_desk: Desk, _arguments: argparse.Namespace) -> Answer:
    return {"scopes": sorted(SCOPES)}


async def _usage_calls(desk: Desk, arguments: argparse.Namespace) -> Answer:
    org_id = await desk.accounts.organization_of_key(arguments.key_id)
    calls = await desk.records.page(org_id, arguments.key_id, limit=arguments.limit, before=None)
    return {"key_id": arguments.key_id, "org_id": org_id, "calls": calls}


async def _usage_versions(desk: Desk, arguments: argparse.Namespace) -> Answer:
    since = (desk.clock.now() - timedelta(days=arguments.days)).date()
    return {"since": since, "callers": await desk.records.by_version(since, arguments.version)}


async def _pepper_list(desk: Desk, _arguments: argparse.Namespace) -> Answer:
    return {"keys_by_pepper": await desk.holders.count_by_pepper(desk.clock.now())}


async def _announcement_make(desk: Desk, arguments: argparse.Namespace) -> Answer:
    announcement_id = await MakeAnnouncement(desk.announcements, desk.clock)(
        subject=arguments.subject,
        title=arguments.title,
        text=arguments.text,
        effective_at=arguments.effective,
        url=arguments.url,
    )
    return {"announcement_id": announcement_id}


async def _announcement_list(desk: Desk, arguments: argparse.Namespace) -> Answer:
    return {"announcements": await desk.announcements.page(limit=arguments.limit, before=None)}


async def _webhook_rewrap(desk: Desk, _arguments: argparse.Namespace) -> Answer:
    return {"rewrapped": await desk.rewrap_secrets()}


def _day(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)


def _permissions(arguments: argparse.Namespace) -> frozenset[str]:
    if arguments.permissions is not None:
        return _names(arguments.permissions)
    excluded = _names(arguments.all_but)
    if unknown := excluded - PERMISSIONS:
        raise SettingsError(f"--all-but: no such permission: {', '.join(sorted(unknown))}")
    return PERMISSIONS - excluded


def _expiry(desk: Desk, arguments: argparse.Namespace) -> datetime | None:
    return None if arguments.expires_days is None else desk.clock.now() + timedelta(days=arguments.expires_days)


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())


def _shown_organization(organization: Organization) -> Answer:
    plan = organization.subscription
    return {
        "org_id": organization.org_id,
        "name": organization.name,
        "state": organization.state,
        "is_sandbox": organization.is_sandbox,
        "features": sorted(organization.features),
        "av": organization.av,
        "plan": plan.plan,
        "subscription": plan.status,
        "per_minute": plan.per_minute,
        "per_day": plan.per_day,
    }


def _shown_app(app: App) -> Answer:
    return {
        "app_id": app.app_id,
        "name": app.name,
        "owner_id": app.user_id,
        "stage": app.stage,
        "state": app.state,
        "redirect_uris": app.redirect_uris,
        "webhook_urls": app.webhook_urls,
    }


def _shown_key(key: Key, roles: dict[uuid.UUID, str], now: datetime) -> Answer:
    return {
        "key_id": key.key_id,
        "start": key.start,
        "label": key.label,
        "kind": key.kind,
        "role": None if key.role_id is None else roles.get(key.role_id),
        "state": key.state(now),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.auth", description=(__doc__ or "").split("\n")[0])
    things = parser.add_subparsers(title="things", required=True, metavar="THING")

    org = _verbs(things, "org", "organizations")
    create = _verb(org, "create", _org_create, "a new organization with its built-in roles and its owner")
    create.add_argument("--name", required=True)
    create.add_argument("--org-id", type=uuid.UUID, help="its id, instead of a fresh one")
    create.add_argument("--owner-email", help="the owner's address, instead of a placeholder")
    create.add_argument("--sandbox", action="store_true", help="a test organization: sandbox keys and models only")
    create.add_argument("--enable", default="", metavar="A,B", help="features, as `org feature` switches them")
    _verb(org, "list", _org_list, "all organizations")
    _verb(org, "show", _org_show, "one organization").add_argument("org", type=uuid.UUID)
    for verb, state, purpose in (
        ("suspend", OrganizationState.SUSPENDED, "refuse all its calls, at once"),
        ("resume", OrganizationState.ACTIVE, "let it go on"),
        ("delete", OrganizationState.DELETED, "end it for good: all its keys are unknown"),
    ):
        _verb(org, verb, _set_state(state), purpose).add_argument("org", type=uuid.UUID)

    feature = _verb(org, "feature", _org_feature, f"switch features on and off: {', '.join(sorted(FEATURES))}")
    feature.add_argument("org", type=uuid.UUID)
    feature.add_argument("--enable", default="", metavar="A,B")
    feature.add_argument("--disable", default="", metavar="A,B")

    user = _verbs(things, "user", "people")
    create = _verb(user, "create", _user_create, "a new user")
    _of_organization(create)
    create.add_argument("--email", required=True)
    create.add_argument("--role", default=OWNER)
    for verb, command, purpose in (
        ("suspend", _rest(is_suspended=True), "no sign-in, no key, no app of theirs works, at once"),
        ("resume", _rest(is_suspended=False), "let them go on"),
        ("password-link", _user_password_link, "a link for them to set a password, once, within 24 hours"),
        ("set-password", _user_set_password, "their password, from standard input; all their sessions end"),
    ):
        one = _verb(user, verb, command, purpose)
        one.add_argument("user", type=uuid.UUID, metavar="USER_ID")

    role = _verbs(things, "role", "named sets of permissions")
    for verb, command, purpose in (
        ("create", _role_create, "a new role"),
        ("update", _role_update, "what a role grants from now on"),
    ):
        edit = _verb(role, verb, command, purpose)
        _of_organization(edit)
        edit.add_argument("--name", required=True)
        which = edit.add_mutually_exclusive_group(required=True)
        which.add_argument("--permissions", metavar="A,B,C")
        which.add_argument("--all-but", metavar="A,B,C")
    _of_organization(_verb(role, "list", _role_list, "an organization's roles"))
    _verb(_verbs(things, "permission", "what roles can grant"), "list", _permission_list, "all permissions there are")

    key = _verbs(things, "key", "API keys")
    create = _verb(key, "create", _key_create, "a new key, shown once")
    _of_organization(create)
    create.add_argument("--role", required=True)
    create.add_argument("--label", required=True)
    create.add_argument("--kind", choices=[str(KeyKind.ORGANIZATION), str(KeyKind.SANDBOX)])
    _with_bounds(create)
    _of_organization(_verb(key, "list", _key_list, "an organization's keys"))
    _verb(key, "revoke", _key_revoke, "the end of a key, at once").add_argument("key_id", type=uuid.UUID)

    _of_users(things)
    _of_apps(things)
    _of_everybody(things)
    _verb(_verbs(things, "pepper", "the ring"), "list", _pepper_list, "how many live keys are stored under each pepper")
    return parser


def _of_apps(things: Any) -> None:
    """The commands about apps of third parties."""
    app = _verbs(things, "app", "apps of third parties")
    create = _verb(app, "create", _app_create, "a new app, in development; its secret is shown once")
    _of_organization(create)
    create.add_argument("--user", type=uuid.UUID, required=True, metavar="USER_ID", help="who answers for it")
    create.add_argument("--name", required=True)
    create.add_argument("--redirect", action="append", required=True, metavar="URI")
    create.add_argument("--public", action="store_true", help="it cannot keep a secret")
    _of_organization(_verb(app, "list", _app_list, "an organization's apps"))
    rotate = _verb(app, "rotate-secret", _app_rotate, "another client secret, shown once")
    rotate.add_argument("app_id", type=uuid.UUID)
    rotate.add_argument("--overlap-seconds", type=int, default=0, metavar="N", help="how long those before go on")
    for verb, state, purpose in (
        ("suspend", AppState.SUSPENDED, "end all its grants and tokens, at once; it can be resumed without them"),
        ("resume", AppState.ACTIVE, "let it ask again"),
        ("delete", AppState.DELETED, "end it for good, with all its grants and tokens"),
    ):
        _verb(app, verb, _end_app(state), purpose).add_argument("app_id", type=uuid.UUID)


def _of_users(things: Any) -> None:
    """The commands about keys of users, and about who called."""
    personal = _verbs(things, "personal-key", "keys of users: one each, with scopes")
    create = _verb(personal, "create", _personal_key_create, "a user's key, shown once; the one before ends")
    _of_organization(create)
    create.add_argument("--user", type=uuid.UUID, required=True, metavar="USER_ID")
    create.add_argument("--label", default="personal")
    create.add_argument("--scopes", metavar="A,B,C", help="every read, if left out; writes only if named")
    _with_bounds(create)
    _verb(_verbs(things, "scope", "what personal keys can be given"), "list", _scope_list, "all scopes there are")

    usage = _verbs(things, "usage", "who called")
    calls = _verb(usage, "calls", _usage_calls, "single calls of a user's key, newest first")
    calls.add_argument("key_id", type=uuid.UUID)
    calls.add_argument("--limit", type=int, default=100, metavar="N")
    versions = _verb(
        usage, "versions", _usage_versions, "whom the end of an API version hurts: calls by version and key"
    )
    versions.add_argument("--version", metavar="YYYY-MM-DD")
    versions.add_argument("--days", type=int, default=30, metavar="N")


def _of_everybody(things: Any) -> None:
    """The commands about announcements, and about secrets of webhooks."""
    announcement = _verbs(things, "announcement", "significant changes of the terms or the API, told to everybody")
    make = _verb(
        announcement, "make", _announcement_make, "tell every organization: by webhook, and where it can be read"
    )
    make.add_argument("--subject", required=True, choices=SUBJECTS)
    make.add_argument("--title", required=True)
    make.add_argument("--text", required=True)
    make.add_argument("--effective", type=_day, metavar="YYYY-MM-DD", help="from when on it holds")
    make.add_argument("--url", default="", help="where more is said")
    listed = _verb(announcement, "list", _announcement_list, "what was said, newest first")
    listed.add_argument("--limit", type=int, default=20, metavar="N")
    webhook = _verbs(things, "webhook", "secrets of webhooks")
    _verb(webhook, "rewrap", _webhook_rewrap, "bring all under the first key of FANGATE_WEBHOOK_KEYS")


def _verbs(things: Any, name: str, purpose: str) -> Any:
    return things.add_parser(name, help=purpose, description=purpose).add_subparsers(
        title="verbs", required=True, metavar="VERB"
    )


def _verb(verbs: Any, name: str, command: Command, purpose: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=purpose, description=purpose)
    parser.set_defaults(command=command)
    return parser


def _with_bounds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--expires-days", type=int, metavar="N")
    parser.add_argument("--key-per-minute", type=int, metavar="N", help="a window of the key's own")
    parser.add_argument("--model", type=uuid.UUID, metavar="MODEL_ID", help="bind it to one model")
    parser.add_argument("--api-version", metavar="YYYY-MM-DD", help="for calls that name none; the newest, if left out")
    parser.add_argument("--read-only", action="store_true")
    parser.add_argument("--addresses", default="", metavar="A,B,C", help="networks (CIDR) it may be used from")


def _of_organization(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--org", type=uuid.UUID, required=True, metavar="ORG_ID")
