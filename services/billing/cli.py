"""The operator's command line: `python -m services.billing <command> --help`.

Each command prints one JSON object. Exit status 0; 1 when `verify` finds the books wrong; 2 with one line on standard error
when the command cannot be done. What a command says to other services is on the bus when it returns.
"""

import argparse
import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn
from uuid import UUID

import msgspec
import orjson

from libs.common.bus.errors import BusError
from libs.common.clock import Clock, SystemClock
from libs.common.db.errors import DatabaseError
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.errors import FangateError
from libs.common.redis.client import Redis
from libs.common.settings import SettingsError, load
from libs.common.telemetry.log import configure_logging
from libs.common.worker import announce
from services.billing.domain.audit import Audit
from services.billing.domain.bucket import BucketKind
from services.billing.domain.lease import LeaseRules
from services.billing.domain.ports import LeaseStore
from services.billing.settings import CommandSettings
from services.billing.store.books import PostgresBooks
from services.billing.store.counters import RedisCounters
from services.billing.store.postgres import PostgresLedger
from services.billing.store.reads import PostgresReads
from services.billing.usecases.announce import Announce
from services.billing.usecases.cancel_subscription import CancelSubscription
from services.billing.usecases.change_plan import ChangePlan
from services.billing.usecases.end_subscription import EndSubscription
from services.billing.usecases.grant_credits import GrantCredits
from services.billing.usecases.mark_past_due import MarkPastDue
from services.billing.usecases.periods import Periods
from services.billing.usecases.reactivate_subscription import ReactivateSubscription
from services.billing.usecases.renew_periods import Renewed, RenewPeriods
from services.billing.usecases.start_subscription import StartSubscription

Answer = tuple[dict[str, Any], int]  # what to print, exit status
_PLAYGROUNDS = ("dev", "test")


class Commands:
    """The commands, over one database."""

    def __init__(
        self, db: Database, outbox: Outbox, *, clock: Clock, grace: timedelta, store: LeaseStore | None = None
    ) -> None:
        ledger, announce = PostgresLedger(db, outbox), Announce(clock=clock)
        periods = Periods(announce=announce, grace=grace)
        parts: dict[str, Any] = {"ledger": ledger, "clock": clock, "periods": periods}
        self._books, self._reads = PostgresBooks(db), PostgresReads(db)
        self._start = StartSubscription(**parts)
        self._change = ChangePlan(**parts)
        self._cancel = CancelSubscription(**parts)
        self._past_due = MarkPastDue(**parts)
        self._reactivate = ReactivateSubscription(**parts)
        self._end = EndSubscription(**parts, store=store, rules=LeaseRules())
        self._renew = RenewPeriods(**parts, announce=announce)
        self._grant = GrantCredits(ledger=ledger, clock=clock, announce=announce)

    async def plan_list(self, _options: argparse.Namespace) -> Answer:
        return {"plans": msgspec.to_builtins(await self._books.plans())}, 0

    async def plan_set(self, options: argparse.Namespace) -> Answer:
        plan = await self._books.set_plan(
            options.plan,
            monthly_credits=options.credits,
            per_minute=options.per_minute,
            per_day=options.per_day,
            is_open=options.open,
        )
        return msgspec.to_builtins(plan), 0

    async def subscription_start(self, options: argparse.Namespace) -> Answer:
        subscription = await self._start(options.org, options.plan)
        return msgspec.to_builtins(subscription), 0

    async def subscription_show(self, options: argparse.Namespace) -> Answer:
        return msgspec.to_builtins(await self._reads.subscription(options.org)), 0

    async def subscription_change(self, options: argparse.Namespace) -> Answer:
        return msgspec.to_builtins(await self._change(options.org, options.plan)), 0

    async def subscription_cancel(self, options: argparse.Namespace) -> Answer:
        return msgspec.to_builtins(await self._cancel(options.org)), 0

    async def subscription_past_due(self, options: argparse.Namespace) -> Answer:
        return msgspec.to_builtins(await self._past_due(options.org)), 0

    async def subscription_reactivate(self, options: argparse.Namespace) -> Answer:
        return msgspec.to_builtins(await self._reactivate(options.org)), 0

    async def subscription_end(self, options: argparse.Namespace) -> Answer:
        return msgspec.to_builtins(await self._end(options.org)), 0

    async def tick(self, _options: argparse.Namespace) -> Answer:
        total = Renewed()
        while (done := await self._renew()) != Renewed():  # a run takes a bounded number
            total += done
        return msgspec.to_builtins(total), 0

    async def grant(self, options: argparse.Namespace) -> Answer:
        kind = BucketKind[options.kind.upper()]
        id_, balance = await self._grant(options.org, options.credits, kind=kind, memo=options.memo, days=options.days)
        return {"transfer_id": str(id_), "balance": balance}, 0

    async def balance(self, options: argparse.Namespace) -> Answer:
        return {"org_id": str(options.org)} | msgspec.to_builtins(await self._books.balance(options.org)), 0

    async def statement(self, options: argparse.Namespace) -> Answer:
        balance = await self._books.balance(options.org)
        lines = await self._books.statement(options.org, limit=options.limit)
        return {
            "org_id": str(options.org),
            "balance": balance.balance,
            "leased": balance.leased,
            "transfers": msgspec.to_builtins(lines),
        }, 0

    async def verify(self, options: argparse.Namespace) -> Answer:
        audit = await self._books.verify(options.org)
        shown = _shown(audit)
        if options.head is not None:
            seal_no, chain = options.head
            found = await self._books.chain_at(seal_no)
            shown["head_kept_elsewhere"] = {"seal_no": seal_no, "matches": found == chain}
            if found != chain:
                shown["result"] = "FAIL"
        return shown, 0 if shown["result"] == "OK" else 1

    async def lease_list(self, options: argparse.Namespace) -> Answer:
        return {"leases": msgspec.to_builtins(await self._books.live_leases(options.org))}, 0


def _shown(audit: Audit) -> dict[str, Any]:
    organizations = [
        {
            "org_id": str(one.org_id),
            "credits_granted": one.credits_granted,
            "debits": one.debits,
            "refunds": one.refunds,
            "voids": one.voids,
            "waived": one.waived,
            "balance": one.balance,
            "stored": one.stored,
            "derived": one.derived,
            "stored_equals_derived": one.stored == one.derived and not one.drift_accounts,
            "leases_match": not one.lease_mismatches,
            "seals": one.seals,
            "seals_match": not one.seal_mismatches,
            "result": "OK" if one.is_ok else "FAIL",
        }
        for one in audit.organizations
    ]
    sums = ("credits_granted", "refunds", "voids", "waived", "balance", "stored", "derived")
    total: dict[str, Any] = {name: sum(one[name] for one in organizations) for name in sums}
    total["debits"] = {
        name: sum(one.debits[name] for one in audit.organizations)
        for name in (audit.organizations[0].debits if audit.organizations else ())
    }
    total |= {
        "stored_equals_derived": all(one["stored_equals_derived"] for one in organizations),
        "seals": audit.seals,
        "seal_head": msgspec.to_builtins(audit.head),
        "seals_match": audit.seal_mismatches == 0,
        "seal_mismatches": audit.seal_mismatches,
        "rule_violations": audit.rule_violations,
    }
    return {"organizations": organizations, "total": total, "result": "OK" if audit.is_ok else "FAIL"}


class _At(SystemClock):
    """As if it were another time of day."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        return self._at

    def now_ms(self) -> int:
        return int(self._at.timestamp() * 1000)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; subcommands inherit it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m services.billing", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, work: str, explanation: str, *, group: Any = commands) -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = group.add_parser(name, help=explanation, description=explanation)
        command.set_defaults(work=work)
        return command

    def group(name: str, explanation: str) -> Any:
        return commands.add_parser(name, help=explanation).add_subparsers(required=True, metavar="command")

    plans = group("plan", "plans")
    add("list", "plan_list", "all plans", group=plans)
    plan = add("set", "plan_set", "make or change a plan", group=plans)
    plan.add_argument("--plan", required=True, help="its code")
    plan.add_argument("--credits", type=_positive, required=True, help="a month")
    plan.add_argument("--per-minute", type=_positive, required=True, help="calls")
    plan.add_argument("--per-day", type=_positive, required=True, help="calls in a UTC day")
    plan.add_argument("--open", action="store_true", help="customers may change up to it by themselves, at once")
    life = group("subscription", "subscriptions")
    start = add("start", "subscription_start", "subscribe now", group=life)
    change = add(
        "change", "subscription_change", "to a larger plan at once, to a smaller one at the period's end", group=life
    )
    for command in (start, change):
        command.add_argument("--plan", required=True, help="its code, see `plan list`")
    lives = [
        add("show", "subscription_show", "plan, status, period and what is to come", group=life),
        add("cancel", "subscription_cancel", "end with the period", group=life),
        add("past-due", "subscription_past_due", "note a debt: 402 after the grace, no renewal", group=life),
        add("reactivate", "subscription_reactivate", "the debt is settled, or the end taken back", group=life),
        add("end", "subscription_end", "end at once, with the plan's credits", group=life),
    ]
    tick = add("tick", "tick", "renew and expire what is due, as the service's timer does")
    tick.add_argument("--at", type=_time, help="as if it were then (ISO 8601, UTC); in dev and test only")
    grant = add("grant", "grant", "give credits beside the plan")
    grant.add_argument("--credits", type=_positive, required=True)
    grant.add_argument("--kind", choices=("topup", "promo"), required=True)
    grant.add_argument("--memo", type=_memo, required=True, help="who and why, at most 200 characters")
    grant.add_argument("--days", type=_positive, help="until they end; default: never")
    statement = add("statement", "statement", "the newest transfers of an organization")
    statement.add_argument("--limit", type=_positive, default=100)
    balance = add("balance", "balance", "what an organization has, bucket by bucket")
    for command in (start, change, *lives, grant, statement, balance):
        command.add_argument("--org", type=UUID, required=True)
    verify = add("verify", "verify", "recompute every balance and every seal; exit status 1 if anything is wrong")
    verify.add_argument(
        "--head", type=_head, metavar="SEAL_NO:CHAIN", help="a seal noted earlier, as in the log line `sealed`: it must still be in the chain"
    )  # fmt: skip
    leases = add("list", "lease_list", "leases that are not final", group=group("lease", "leases"))
    for command in (verify, leases):
        command.add_argument("--org", type=UUID, help="default: all organizations")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _head(text: str) -> tuple[int, str]:
    seal_no, _, chain = text.partition(":")
    if not seal_no.isascii() or not seal_no.isdigit() or not re.fullmatch("[0-9a-f]{64}", chain):
        raise argparse.ArgumentTypeError("a number, a colon and 64 hexadecimal digits")
    return int(seal_no), chain


def _memo(text: str) -> str:
    if not 1 <= len(text) <= 200:
        raise argparse.ArgumentTypeError("1 to 200 characters")
    return text


async def _run(options: argparse.Namespace, settings: CommandSettings) -> Answer:
    at: datetime | None = getattr(options, "at", None)
    if at is not None and settings.env not in _PLAYGROUNDS:
        raise SettingsError("--at moves real credits in time: FANGATE_ENV must be dev or test")
    db = await Database.connect(settings.postgres_dsn.reveal(), schema="billing", name="billing-cli", size_max=2)
    redis = Redis.create(settings.redis_url.reveal()) if settings.redis_url else None
    try:
        outbox = Outbox()
        commands = Commands(
            db,
            outbox,
            clock=SystemClock() if at is None else _At(at),
            grace=timedelta(hours=settings.past_due_grace_hours),
            store=RedisCounters(redis, prefix=settings.redis_prefix) if redis is not None else None,
        )
        work: Callable[[argparse.Namespace], Awaitable[Answer]] = getattr(commands, options.work)
        answer = await work(options)
        await announce(db, outbox, settings.amqp_url, service="billing")
        return answer
    finally:
        if redis is not None:
            await redis.close()
        await db.close()


def main(argv: list[str]) -> int:
    """Run one command; answers the exit status."""
    options = _parser().parse_args(argv)
    try:
        settings = load(CommandSettings, service="billing")
        configure_logging("billing", level="error", stream=sys.stderr.buffer)
        shown, status = asyncio.run(_run(options, settings))
    except (SettingsError, FangateError, DatabaseError, BusError, OSError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    sys.stdout.write(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode() + "\n")
    return status
