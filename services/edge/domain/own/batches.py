"""Batches of submitted URLs, looked at: on the gateway and on the surface `platform`."""

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from libs.common.contracts import takedowns
from libs.common.contracts.takedowns import InvalidUrls
from services.edge.domain.own_route import ID, LIMIT, Asked, OwnRoute, query_of
from services.edge.domain.refusal import Refusal

BATCHES_DEFAULT: Final = 50
BATCHES_MAX: Final = 200


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch: what was sent in, what was paid, and what of that was given back."""

    batch_id: UUID
    status: str
    url_count: int
    new: int
    duplicate: int
    invalid: int
    failed: int
    debited: int
    refunded: int
    notes: str | None
    created_at: datetime


class Batches(msgspec.Struct, frozen=True, kw_only=True):
    """A page of batches, newest first; `next_cursor` continues it."""

    batches: tuple[Batch, ...]
    next_cursor: UUID | None


class BatchDetail(Batch, frozen=True, kw_only=True):
    """A batch with samples of what was not taken, by reason, and how many of its URLs are in which state."""

    invalid_samples: tuple[InvalidUrls, ...]
    states: dict[str, int]


def _list(asked: Asked) -> takedowns.ListBatches:
    after = asked.query.get("cursor")
    return takedowns.ListBatches(
        org_id=asked.org_id,
        limit=asked.number("limit", default=BATCHES_DEFAULT, most=BATCHES_MAX),
        after=None if after is None else UUID(after),
    )


def _get(asked: Asked) -> takedowns.GetBatch:
    try:
        return takedowns.GetBatch(org_id=asked.org_id, batch_id=UUID(asked.path["batch_id"]))
    except ValueError:
        raise Refusal("BATCH_NOT_FOUND") from None


def _page(reply: takedowns.BatchPage) -> Batches:
    shown = tuple(Batch(**msgspec.structs.asdict(batch)) for batch in reply.batches)
    return Batches(batches=shown, next_cursor=reply.next_after)


def _detail(reply: takedowns.BatchAnswer) -> BatchDetail:
    facts = msgspec.structs.asdict(reply.batch)
    return BatchDetail(**facts, invalid_samples=reply.invalid, states=reply.states)


ROUTES: Final = (
    OwnRoute(
        name="batches_list", method="GET", path="/batches", permission="api_takedown_batches_list",
        query=query_of(limit=LIMIT, cursor=ID), data=Batches, command=_list, show=_page,
    ),
    OwnRoute(
        name="batches_read", method="GET", path="/batches/{batch_id}", permission="api_takedown_batches_read",
        data=BatchDetail, command=_get, show=_detail,
    ),
)  # fmt: skip
