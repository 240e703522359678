"""Events of the bus as receivers of webhooks hear them: under the type without its version, thin, in the order of their entity.

A payload says what happened to which id, and when; never secrets, notes, addresses or names of people. Who wants more asks
the API.
"""

import re
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import msgspec

from libs.common.contracts import auth, billing, sessions, takedowns, webhooks
from libs.common.contracts.envelope import Message
from libs.common.contracts.registry import REGISTRY
from libs.common.ids import derived_id, id_ms

TESTED: Final = "auth.webhook.tested"  # asked for by an endpoint's owner, sent to that endpoint only


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event for receivers. `org_id` None: everybody's. `number` orders events of one `entity`."""

    event_id: uuid.UUID
    type: str
    org_id: uuid.UUID | None
    entity: str
    number: int
    at: datetime
    data: dict[str, Any]
    is_versioned: bool = False  # an older version is not news to whoever has heard a newer one
    model_id: uuid.UUID | None = None  # an app hears it if it was granted this model
    not_to: uuid.UUID | None = None  # an endpoint that must not hear it

    @property
    def body(self) -> str:
        """What is signed and sent, the same on every attempt."""
        return msgspec.json.encode({"type": self.type, "timestamp": self.at, "data": self.data}).decode()


class _Model(Protocol):
    org_id: uuid.UUID
    model_id: uuid.UUID
    version: int


class _Notice(Protocol):
    org_id: uuid.UUID
    notice_id: uuid.UUID
    creator_id: uuid.UUID
    stage: str
    url_count: int


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between events: the entity, its version if it has one, and the data beside the organization."""

    entity: str
    data: dict[str, Any]
    version: int | None = None
    model_id: uuid.UUID | None = None
    not_to: uuid.UUID | None = None


def _model(state: str) -> Callable[[_Model], Iterator[_Part]]:
    def parts(event: _Model) -> Iterator[_Part]:
        yield _Part(
            entity=f"model:{event.model_id}", version=event.version, model_id=event.model_id,
            data={"model_id": event.model_id, "state": state, "version": event.version},
        )  # fmt: skip

    return parts


def _notice(state: str) -> Callable[[_Notice], Iterator[_Part]]:
    def parts(event: _Notice) -> Iterator[_Part]:
        data = {
            "notice_id": event.notice_id, "creator_id": event.creator_id, "state": state, "stage": event.stage,
            "url_count": event.url_count,
        }  # fmt: skip
        yield _Part(entity=f"notice:{event.notice_id}", data=data)

    return parts


def _urls(event: takedowns.UrlChanged) -> Iterator[_Part]:
    """One for each creator: a batch of many creators is not one long line."""
    by_creator: dict[uuid.UUID, list[dict[str, Any]]] = {}
    for change in event.changes:
        shown = {"id": change.id, "state": change.state, "previous": change.previous, "at": change.at}
        by_creator.setdefault(change.creator_id, []).append(shown)
    for creator_id, urls in by_creator.items():
        yield _Part(entity=f"urls:{creator_id}", data={"creator_id": creator_id, "urls": urls})


def _accepted(event: takedowns.BatchAccepted) -> Iterator[_Part]:
    data = {
        "batch_id": event.batch_id, "state": "accepted", "url_count": event.url_count, "new": event.new,
        "duplicate": event.duplicate, "invalid": event.invalid, "failed": event.failed,
    }  # fmt: skip
    yield _Part(entity=f"batch:{event.batch_id}", data=data)


def _refunded(event: takedowns.BatchRefunded) -> Iterator[_Part]:
    data = {
        "batch_id": event.batch_id, "refund_id": event.refund_id, "state": "refunded", "amount": event.amount,
    }  # fmt: skip
    yield _Part(entity=f"batch:{event.batch_id}", data=data)


def _action(event: takedowns.ActionRequired) -> Iterator[_Part]:
    data = {
        "action_id": event.action_id, "creator_id": event.creator_id, "state": "required", "url_count": event.url_count,
    }  # fmt: skip
    yield _Part(entity=f"action:{event.action_id}", data=data)


def _creator_deleted(event: takedowns.CreatorDeleted) -> Iterator[_Part]:
    yield _Part(entity=f"creator:{event.creator_id}", data={"creator_id": event.creator_id, "state": "deleted"})


def _credits_low(event: billing.CreditsLow) -> Iterator[_Part]:
    data = {"state": "low", "balance": event.balance, "threshold_percent": event.threshold_percent}
    yield _Part(entity="credits", data=data)


def _subscription(event: billing.SubscriptionChanged) -> Iterator[_Part]:
    data = {
        "state": event.status, "plan": event.plan, "period_start": event.period_start, "period_end": event.period_end,
        "version": event.version,
    }  # fmt: skip
    yield _Part(entity="subscription", version=event.version, data=data)


def _key_revoked(event: auth.KeyRevoked) -> Iterator[_Part]:
    yield _Part(entity=f"key:{event.key_id}", data={"key_id": event.key_id, "state": "revoked"})


def _disabled(event: webhooks.WebhookDisabled) -> Iterator[_Part]:
    data = {"webhook_id": event.webhook_id, "state": "disabled", "reason": event.reason}
    yield _Part(entity=f"webhook:{event.webhook_id}", data=data, not_to=event.webhook_id)


def _announced(event: webhooks.AnnouncementMade) -> Iterator[_Part]:
    data = {"announcement_id": event.announcement_id, "subject": event.subject, "effective_at": event.effective_at}
    yield _Part(entity="announcements", data=data)


_PARTS: Final[dict[type[Message], Callable[[Any], Iterator[_Part]]]] = {
    auth.KeyRevoked: _key_revoked,
    webhooks.WebhookDisabled: _disabled,
    webhooks.AnnouncementMade: _announced,
    billing.CreditsLow: _credits_low,
    billing.SubscriptionChanged: _subscription,
    sessions.ModelConnected: _model("connected"),
    sessions.ModelAwaitingCode: _model("awaiting_2fa"),
    sessions.ModelConnectFailed: _model("connect_failed"),
    sessions.ModelSyncLost: _model("sync_lost"),
    sessions.ModelReconnected: _model("connected"),
    sessions.ModelDisconnected: _model("disconnected"),
    sessions.ModelDeleted: _model("deleted"),
    takedowns.BatchAccepted: _accepted,
    takedowns.BatchRefunded: _refunded,
    takedowns.UrlChanged: _urls,
    takedowns.NoticeSent: _notice("sent"),
    takedowns.NoticeBounced: _notice("bounced"),
    takedowns.NoticeCountered: _notice("countered"),
    takedowns.ActionRequired: _action,
    takedowns.CreatorDeleted: _creator_deleted,
}

ANNOUNCED: Final = tuple(_PARTS)  # messages that become webhooks


def public_type(message: type[Message]) -> str:
    """`sessions.model.sync_lost` of `sessions.model.sync_lost.v1`."""
    return re.sub(r"\.v\d+$", "", REGISTRY.of(message).name)


EVENT_TYPES: Final = tuple(sorted(public_type(message) for message in ANNOUNCED))


def events_of(message: Message, message_id: uuid.UUID) -> Iterator[Event]:
    """What receivers hear of a message; the same every time it is asked. The message's id, a UUIDv7, tells when."""
    ms = id_ms(message_id)
    org_id: uuid.UUID | None = getattr(message, "org_id", None)
    for position, part in enumerate(_PARTS[type(message)](message)):
        owner = {} if org_id is None else {"org_id": org_id}
        yield Event(
            event_id=derived_id(ms, f"{message_id} {position}") if position else message_id,
            type=public_type(type(message)),
            org_id=org_id,
            entity=part.entity,
            number=ms if part.version is None else part.version,
            is_versioned=part.version is not None,
            at=datetime.fromtimestamp(ms / 1_000, UTC),
            data={**owner, **part.data},
            model_id=part.model_id,
            not_to=part.not_to,
        )


def tested(event_id: uuid.UUID, org_id: uuid.UUID, webhook_id: uuid.UUID) -> Event:
    """What an endpoint's owner asked to be sent."""
    ms = id_ms(event_id)
    return Event(
        event_id=event_id,
        type=TESTED,
        org_id=org_id,
        entity=f"test:{event_id}",
        number=ms,
        at=datetime.fromtimestamp(ms / 1_000, UTC),
        data={"org_id": org_id, "webhook_id": webhook_id, "state": "tested"},
    )
