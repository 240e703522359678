"""The surface `platform` (Seed C): creators, submissions, transactions. Bodies, limits and defaults are the seed's."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from libs.common.contracts import billing, creators, takedowns
from libs.common.contracts.creators import CreatorInput, OfficialLink
from libs.common.contracts.takedowns import GroupOutcome, HostCounts, Submission
from services.edge.domain.own_route import LIMIT, Asked, OwnRoute, query_of
from services.edge.domain.queries import Values, one_of
from services.edge.domain.refusal import Refusal

CREATORS_DEFAULT: Final = 50
CREATORS_MAX: Final = 1_000
TRANSACTIONS_DEFAULT: Final = 25
TRANSACTIONS_MAX: Final = 100
SUBMIT_MS: Final = 25_000
SUBMITS_MAX: Final = 4  # of one organization, under way
UPSERT_MS: Final = 10_000
EXAMPLE_ID: Final = "0190b5c2-7d2e-7a31-9c44-5f0a8d3e1b01"
_LINKS: Final = [{"platform": name, "handle": "examplecreator"} for name in ("onlyfans", "fansly")]
_CREATOR: Final = {
    "stage_name": "ExampleCreator", "email": "creator@example.com", "legal_name": "Jane Doe", "official_links": _LINKS,
}  # fmt: skip
_SUBMISSION: Final = {
    "groups": [
        {"creator_id": EXAMPLE_ID, "urls": ["https://piracy-site.com/stolen-content", "https://t.me/leakchannel/456"]}
    ],
    "notes": "Weekly scan batch",
}
_FALSE: Final = frozenset({"false", "0", "no"})
_CONFIRM: Final = Values("(?i:true|false|0|no)", "true, or false for a dry run")  # a typo never deletes
_DRY_RUN: Final = one_of("true", "false")


class CreatorOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Creators to register, or to bring up to date by e-mail."""

    creators: tuple[CreatorInput, ...]


class CreatorEdit(msgspec.Struct, frozen=True, kw_only=True):
    """What may be changed about a creator; null clears where null is allowed."""

    stage_name: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    official_links: tuple[OfficialLink, ...] | UnsetType = UNSET
    legal_name: str | UnsetType | None = UNSET
    notification_email: str | UnsetType | None = UNSET
    notes: str | UnsetType | None = UNSET


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """What became of creators that were sent in."""

    created: int
    updated: int


class ListedCreator(msgspec.Struct, frozen=True, kw_only=True):
    """A creator in a list."""

    id: UUID
    stage_name: str
    email: str
    official_links: tuple[OfficialLink, ...]
    created_at: datetime


class CreatorPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of creators, oldest first, with the window as it was used."""

    creators: tuple[ListedCreator, ...]
    total: int
    limit: int
    offset: int


class WholeCreator(ListedCreator, frozen=True, kw_only=True):
    """All that is kept of a creator."""

    legal_name: str | None
    notification_email: str | None
    notes: str | None
    updated_at: datetime


class OneCreator(msgspec.Struct, frozen=True, kw_only=True):
    """A creator."""

    creator: WholeCreator


class NamedCreator(msgspec.Struct, frozen=True, kw_only=True):
    """A creator by name."""

    id: UUID
    stage_name: str


class Deletion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What hangs on a creator, and that it is deleted now."""

    creator: NamedCreator
    associated_urls: int
    associated_takedowns: int
    deleted: bool = False


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """Submissions by creator."""

    stats: tuple[creators.CreatorStats, ...]


class Submitted(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a submission. Members with no value are left out: those of a failure in part, and of a dry run."""

    batch_id: UUID | UnsetType = msgspec.field(default=UNSET, name="batchId")
    url_count: int = msgspec.field(name="urlCount")
    new: int
    duplicate: int
    invalid: int
    by_host: dict[str, HostCounts] = msgspec.field(name="byHost")
    failed: int | UnsetType = UNSET
    refunded: int | UnsetType = UNSET
    groups: tuple[GroupOutcome, ...] | UnsetType = UNSET
    dry_run: bool | UnsetType = UNSET
    required: int | UnsetType = UNSET
    balance: int | UnsetType = UNSET


class TransactionPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of transactions, newest first, with the window as it was used."""

    transactions: tuple[billing.Transaction, ...]
    total: int
    page: int
    limit: int


def _is_sandbox(asked: Asked) -> bool:
    return asked.caller.kind == "sandbox"


def _creator_id(asked: Asked) -> UUID:
    try:
        return UUID(asked.path["creator_id"])
    except ValueError:
        raise Refusal("CREATOR_NOT_FOUND") from None


def _whole_seconds(at: datetime) -> datetime:
    return at.replace(microsecond=0)  # `2026-03-01T00:00:00Z`


def _register(asked: Asked) -> creators.SubmitCreators:
    order: CreatorOrder = asked.body
    return creators.SubmitCreators(org_id=asked.org_id, creators=order.creators, sandbox_only=_is_sandbox(asked))


def _registered(reply: creators.CreatorsSubmitted) -> Registered:
    return Registered(created=reply.created, updated=reply.updated)


def _window(asked: Asked, *, default: int, most: int) -> int:
    return max(1, asked.number("limit", default=default, most=most))


def _list(asked: Asked) -> creators.ListCreators:
    return creators.ListCreators(
        org_id=asked.org_id,
        limit=_window(asked, default=CREATORS_DEFAULT, most=CREATORS_MAX),
        offset=asked.number("offset", default=0, most=2**31),
    )


def _page(asked: Asked, reply: creators.CreatorPage) -> CreatorPage:
    asked_for = _list(asked)
    listed = tuple(
        ListedCreator(
            id=creator.id,
            stage_name=creator.stage_name,
            email=creator.email,
            official_links=creator.official_links,
            created_at=_whole_seconds(creator.created_at),
        )
        for creator in reply.creators
    )
    return CreatorPage(creators=listed, total=reply.total, limit=asked_for.limit, offset=asked_for.offset)


def _get(asked: Asked) -> creators.GetCreator:
    return creators.GetCreator(org_id=asked.org_id, creator_id=_creator_id(asked))


def _update(asked: Asked) -> creators.UpdateCreator:
    edit: CreatorEdit = asked.body
    return creators.UpdateCreator(org_id=asked.org_id, creator_id=_creator_id(asked), **msgspec.structs.asdict(edit))


def _whole(reply: creators.CreatorAnswer) -> OneCreator:
    facts = msgspec.structs.asdict(reply.creator)
    facts |= {name: _whole_seconds(facts[name]) for name in ("created_at", "updated_at")}
    return OneCreator(creator=WholeCreator(**facts))


def _delete(asked: Asked) -> creators.DeleteCreator:
    is_dry_run = asked.query.get("confirm", "true").lower() in _FALSE
    return creators.DeleteCreator(org_id=asked.org_id, creator_id=_creator_id(asked), is_dry_run=is_dry_run)


def _deleted(reply: creators.CreatorDeletion) -> Deletion:
    return Deletion(
        creator=NamedCreator(id=reply.creator_id, stage_name=reply.stage_name),
        associated_urls=reply.associated_urls,
        associated_takedowns=reply.associated_takedowns,
        deleted=reply.is_deleted,
    )


def _stats(reply: creators.CreatorStatsAnswer) -> Stats:
    return Stats(stats=reply.stats)


def _submit(asked: Asked) -> takedowns.SubmitUrls:
    return takedowns.SubmitUrls(
        org_id=asked.org_id,
        key_id=asked.caller.key_id,
        sandbox_only=_is_sandbox(asked),
        is_dry_run=_is_dry_run(asked),
    )


def _is_dry_run(asked: Asked) -> bool:
    return asked.query.get("dry_run") == "true"


def _submitted(asked: Asked, reply: takedowns.UrlsSubmitted) -> Submitted:
    said = Submitted(
        batch_id=reply.batch_id,
        url_count=reply.url_count,
        new=reply.new,
        duplicate=reply.duplicate,
        invalid=reply.invalid,
        by_host=reply.by_host,
    )
    if _is_dry_run(asked):
        return msgspec.structs.replace(
            said, batch_id=UNSET, dry_run=True, required=reply.required, balance=reply.balance
        )
    if reply.groups:
        return msgspec.structs.replace(said, failed=reply.failed, refunded=reply.failed, groups=reply.groups)
    return said


def _status_of(said: Any) -> int:
    if said.dry_run is True:
        return 200
    return 201 if said.groups is UNSET else 207


def _transactions(asked: Asked) -> billing.ListTransactions:
    return billing.ListTransactions(
        org_id=asked.org_id,
        page=asked.number("page", default=0, most=2**31),
        limit=_window(asked, default=TRANSACTIONS_DEFAULT, most=TRANSACTIONS_MAX),
    )


def _transaction_page(asked: Asked, reply: billing.Transactions) -> TransactionPage:
    asked_for = _transactions(asked)
    shown = tuple(
        msgspec.structs.replace(line, created_at=_whole_seconds(line.created_at)) for line in reply.transactions
    )
    return TransactionPage(transactions=shown, total=reply.total, page=asked_for.page, limit=asked_for.limit)


ROUTES: Final = (
    OwnRoute(
        name="creators_submit", method="POST", path="/submit-creators", permission="api_takedown_creators_upsert",
        status=201, body=CreatorOrder, example={"creators": [_CREATOR]}, data=Registered, command=_register, show=_registered, deadline_ms=UPSERT_MS,
        is_repeatable=True,
    ),
    OwnRoute(
        name="creators_list", method="GET", path="/creators", permission="api_takedown_creators_list",
        query=query_of(limit=LIMIT, offset=LIMIT), data=CreatorPage, command=_list, show_asked=_page,
    ),
    OwnRoute(
        name="creators_read_stats", method="GET", path="/creators/stats", permission="api_takedown_creators_read_stats",
        query=query_of(search=None), data=Stats,
        command=lambda asked: creators.GetCreatorStats(org_id=asked.org_id, search=asked.query.get("search", "")),
        show=_stats,
    ),
    OwnRoute(
        name="creators_read", method="GET", path="/creators/{creator_id}", permission="api_takedown_creators_read",
        data=OneCreator, command=_get, show=_whole,
    ),
    OwnRoute(
        name="creators_update", method="PATCH", path="/creators/{creator_id}",
        permission="api_takedown_creators_update", body=CreatorEdit, example={"stage_name": "NewName"}, data=OneCreator, command=_update, show=_whole,
    ),
    OwnRoute(
        name="creators_delete", method="DELETE", path="/creators/{creator_id}",
        permission="api_takedown_creators_delete", query=query_of(confirm=_CONFIRM), data=Deletion, command=_delete,
        show=_deleted,
    ),
    OwnRoute(
        name="urls_submit", method="POST", path="/submit-urls", permission="api_takedowns_submit", status=201,
        query=query_of(dry_run=_DRY_RUN), body=Submission, example=_SUBMISSION, data=Submitted, command=_submit, show_asked=_submitted,
        status_of=_status_of, other_statuses=(200, 207), passes_body=True, in_flight_max=SUBMITS_MAX, deadline_ms=SUBMIT_MS, is_repeatable=True,
    ),
    OwnRoute(
        name="transactions_list", method="GET", path="/transactions", permission="api_transactions_list",
        query=query_of(page=LIMIT, limit=LIMIT), data=TransactionPage, command=_transactions,
        show_asked=_transaction_page,
    ),
)  # fmt: skip
