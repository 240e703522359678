"""Webhooks on real Postgres to real servers, in time that passes when the test says so: signatures, the ladder, the order of
an entity, the end of endpoints, rotation, replay.
"""

import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from libs.common.contracts.auth import KeyRevoked
from libs.common.contracts.billing import CreditsLow
from libs.common.contracts.envelope import Message
from libs.common.contracts.sessions import ModelReconnected, ModelSyncLost
from libs.common.contracts.takedowns import BatchAccepted, UrlChange, UrlChanged
from libs.common.contracts.webhooks import WebhookDisabled
from libs.common.db.pool import Database
from libs.common.ids import uuid7
from services.auth.domain.errors import Conflict, InvalidRequest, NotFound
from services.auth.domain.organization import OrganizationState
from services.auth.domain.webhook import ATTEMPTS_MAX, IN_FLIGHT_MAX, LADDER_SECONDS, EndpointState, Reason
from services.auth.store.postgres import PostgresAccounts
from services.auth.usecases.update_webhook import WebhookEdit
from tests.support.auth import StandingClock, an_organization
from tests.support.webhooks import LIBRARY, Receiver, Webhooks, a_receiver, is_signed, library_time, webhooks_on


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with a_receiver() as made:
        yield made


@pytest.fixture
async def other() -> AsyncIterator[Receiver]:
    async with a_receiver() as made:
        yield made


@pytest.fixture
async def hooks(
    db: Database, receiver: Receiver, other: Receiver, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Webhooks]:
    clock = StandingClock(datetime.now(UTC))
    monkeypatch.setattr(LIBRARY, "datetime", library_time(clock))  # receivers live in the test's time
    async with webhooks_on(db, clock, receiver, other) as made:
        yield made


@pytest.fixture
async def org_id(accounts: PostgresAccounts) -> uuid.UUID:
    return (await an_organization(accounts)).org_id


def sync_lost(org_id: uuid.UUID, model_id: uuid.UUID, version: int) -> ModelSyncLost:
    return ModelSyncLost(org_id=org_id, model_id=model_id, version=version, provider="sandbox", reason="secret reason")


def reconnected(org_id: uuid.UUID, model_id: uuid.UUID, version: int) -> ModelReconnected:
    return ModelReconnected(org_id=org_id, model_id=model_id, version=version)


async def events(db: Database, type_: str) -> list[dict[str, object]]:
    """What waits in the outbox of a type."""
    rows = await db.fetch("SELECT body FROM outbox WHERE type = $1 ORDER BY id", type_)
    return [json.loads(row["body"]) for row in rows]


async def test_an_event_arrives_thin_and_signed(hooks: Webhooks, receiver: Receiver, org_id: uuid.UUID) -> None:
    webhook_id, secret = await hooks.endpoint(org_id, receiver.url)
    model_id = uuid.uuid4()
    message_id = await hooks.say(sync_lost(org_id, model_id, 7))
    assert await hooks.send_due() == 1
    (got,) = receiver.got
    assert got.id == str(message_id)
    assert is_signed(got, secret)
    assert not is_signed(got, (await hooks.endpoint(org_id, receiver.url))[1])
    assert got.json["type"] == "sessions.model.sync_lost"
    assert got.json["data"] == {
        "org_id": str(org_id), "model_id": str(model_id), "state": "sync_lost", "version": 7,
    }  # fmt: skip
    assert got.headers["Content-Type"] == "application/json"
    assert await hooks.states(org_id, webhook_id) == ["delivered"]


async def test_a_receiver_that_fails_three_times_and_recovers_gets_every_event_once_and_in_order(
    hooks: Webhooks, receiver: Receiver, org_id: uuid.UUID
) -> None:
    # given three models with four events each, and a receiver that fails the first three requests
    _, secret = await hooks.endpoint(org_id, receiver.url)
    receiver.answers = [500, 503, 500]
    models = [uuid.uuid4() for _ in range(3)]
    said: dict[uuid.UUID, list[uuid.UUID]] = {model: [] for model in models}
    for version in range(1, 5):
        for model in models:
            event = (sync_lost if version % 2 else reconnected)(org_id, model, version)
            said[model].append(await hooks.say(event))
    # when hours pass
    for _ in range(40):
        await hooks.send_due()
        hooks.clock.pass_time(minutes=10)
    # then everything was taken once, in the order of its model, and whatever came was genuine
    assert len(receiver.taken) == 12
    assert len(receiver.got) == 15
    for model in models:
        mine = [got for got in receiver.taken if got.json["data"]["model_id"] == str(model)]
        assert [got.id for got in mine] == [str(each) for each in said[model]]
        assert [got.json["data"]["version"] for got in mine] == [1, 2, 3, 4]
    # every attempt was signed anew, and was genuine when it came
    for got in receiver.got:
        hooks.clock.time = datetime.fromtimestamp(int(got.timestamp), UTC)
        assert is_signed(got, secret)


async def test_the_ladder_over_hours_and_its_end(
    hooks: Webhooks, receiver: Receiver, other: Receiver, org_id: uuid.UUID
) -> None:
    webhook_id, _ = await hooks.endpoint(org_id, receiver.url)
    receiver.status = 500
    model_id = uuid.uuid4()
    await hooks.say(sync_lost(org_id, model_id, 1))
    waits = []
    for _ in range(ATTEMPTS_MAX):
        assert await hooks.send_due() == 1
        (delivery,) = await hooks.do.deliveries.page(org_id, webhook_id, limit=5, before=None, state="")
        if delivery.next_attempt_at is not None:
            waits.append((delivery.next_attempt_at - hooks.clock.now()).total_seconds())
            hooks.clock.time = delivery.next_attempt_at - timedelta(seconds=1)
            assert await hooks.send_due() == 0, "not a second early"
            hooks.clock.time = delivery.next_attempt_at
    assert len(waits) == len(LADDER_SECONDS)
    assert all(0.9 * step <= wait <= 1.1 * step for step, wait in zip(LADDER_SECONDS, waits, strict=True))
    assert [got.id for got in receiver.got] == [receiver.got[0].id] * ATTEMPTS_MAX
    (delivery,) = await hooks.do.deliveries.page(org_id, webhook_id, limit=5, before=None, state="exhausted")
    assert [attempt.status for attempt in delivery.attempts] == [500] * ATTEMPTS_MAX
    assert delivery.next_attempt_at is None
    # what is given up can be sent again, under the same id
    receiver.status = 200
    await hooks.do.replay(org_id, webhook_id, delivery.delivery_id)
    assert await hooks.send_due() == 1
    assert receiver.taken[0].id == receiver.got[0].id
    assert await hooks.states(org_id, webhook_id) == ["delivered"]


async def test_a_newer_event_waits_while_an_older_one_is_retried_and_other_entities_do_not(
    hooks: Webhooks, receiver: Receiver, org_id: uuid.UUID
) -> None:
    webhook_id, _ = await hooks.endpoint(org_id, receiver.url)
    receiver.answers = [500]
    slow, quick = uuid.uuid4(), uuid.uuid4()
    first = await hooks.say(sync_lost(org_id, slow, 1))
    await hooks.send_due()
    second = await hooks.say(reconnected(org_id, slow, 2))
    third = await hooks.say(sync_lost(org_id, quick, 1))
    await hooks.send_due()
    assert [got.id for got in receiver.taken] == [str(third)]
    page = await hooks.do.deliveries.page(org_id, webhook_id, limit=5, before=None, state="pending")
    assert [each.next_attempt_at is None for each in page] == [True, False], (
        "who waits for another has no time of its own"
    )
    hooks.clock.pass_time(seconds=6)
    await hooks.send_due()
    assert [got.id for got in receiver.taken] == [str(third), str(first), str(second)]


async def test_an_older_version_that_comes_late_is_sent_first_or_not_at_all(
    hooks: Webhooks, receiver: Receiver, org_id: uuid.UUID
) -> None:
    webhook_id, _ = await hooks.endpoint(org_id, receiver.url)
    model_id = uuid.uuid4()
    newer = await hooks.say(reconnected(org_id, model_id, 6))
    older = await hooks.say(sync_lost(org_id, model_id, 5))
    await hooks.send_due()
    assert [got.id for got in receiver.taken] == [str(older), str(newer)]
    await hooks.say(sync_lost(org_id, model_id, 4))
    await hooks.send_due()
    assert len(receiver.got) == 2
    assert await hooks.states(org_id, webhook_id) == ["delivered", "delivered", "superseded"]


async def test_a_message_that_comes_twice_is_one_event(hooks: Webhooks, receiver: Receiver, org_id: uuid.UUID) -> None:
    await hooks.endpoint(org_id, receiver.url)
    low, message_id = CreditsLow(org_id=org_id, balance=3, threshold_percent=10), uuid7()
    for _ in range(3):
        await hooks.do.announce_event(low, message_id)
    await hooks.send_due()
    assert [got.id for got in receiver.got] == [str(message_id)]
    assert receiver.got[0].json["data"] == {
        "org_id": str(org_id), "state": "low", "balance": 3, "threshold_percent": 10,
    }  # fmt: skip


async def test_urls_of_two_creators_are_two_events_without_the_urls_themselves(
    hooks: Webhooks, receiver: Receiver, org_id: uuid.UUID
) -> None:
    await hooks.endpoint(org_id, receiver.url)
    creators = [uuid.uuid4(), uuid.uuid4()]
    at = hooks.clock.now()
    changes = tuple(
        UrlChange(
            id=uuid.uuid4(),
            creator_id=creator,
            url="https://leak.example/x",
            state="removed",
            previous="noticed",
            at=at,
        )
        for creator in (*creators, creators[0])
    )
    await hooks.say(UrlChanged(org_id=org_id, changes=changes))
    await hooks.send_due()
    assert sorted(len(got.json["data"]["urls"]) for got in receiver.got) == [1, 2]
    assert {got.json["data"]["creator_id"] for got in receiver.got} == {str(each) for each in creators}
    assert len({got.id for got in receiver.got}) == 2
    assert all(b"leak.example" not in got.body for got in receiver.got)


async def test_only_what_was_asked_for_and_only_of_ones_own(
    hooks: Webhooks, receiver: Receiver, other: Receiver, accounts: PostgresAccounts, org_id: uuid.UUID
) -> None:
    foreign = (await an_organization(accounts)).org_id
    await hooks.endpoint(org_id, receiver.url, "takedowns.batch.accepted")
    await hooks.endpoint(foreign, other.url)
    batch_id = uuid.uuid4()
    await hooks.say(BatchAccepted(org_id=org_id, batch_id=batch_id, url_count=5, new=4, duplicate=1))
    await hooks.say(sync_lost(org_id, uuid.uuid4(), 1))
    await hooks.send_due()
    assert [got.json["data"]["batch_id"] for got in receiver.got] == [str(batch_id)]
    assert other.got == []


async def test_endpoints_of_others_are_not_found(
    hooks: Webhooks, receiver: Receiver, accounts: PostgresAccounts, org_id: uuid.UUID
) -> None:
    foreign = (await an_organization(accounts)).org_id
    webhook_id, _ = await hooks.endpoint(org_id, receiver.url)
    await hooks.say(sync_lost(org_id, uuid.uuid4(), 1))
    (delivery,) = await hooks.do.deliveries.page(org_id, webhook_id, limit=5, before=None, state="")
    for attempt in (
        hooks.one(foreign, webhook_id),
        hooks.do.update(foreign, webhook_id, WebhookEdit(is_active=False)),
        hooks.do.delete(foreign, webhook_id),
        hooks.do.rotate_secret(foreign, webhook_id, overlap_seconds=0),
        hooks.do.send_test(foreign, webhook_id),
        hooks.do.replay(foreign, webhook_id, delivery.delivery_id),
        hooks.do.deliveries.one(foreign, webhook_id, delivery.delivery_id),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await hooks.do.endpoints.all(foreign) == []
    assert await hooks.do.deliveries.page(foreign, webhook_id, limit=5, before=None, state="") == []


async def test_gone_disables_at_once_and_tells_the_others(
    hooks: Webhooks, receiver: Receiver, other: Receiver, org_id: uuid.UUID, db: Database
) -> None:
    webhook_id, _ = await hooks.endpoint(org_id, receiver.url)
    await hooks.endpoint(org_id, other.url, "auth.webhook.disabled")
    receiver.status = 410
    first = await hooks.say(sync_lost(org_id, uuid.uuid4(), 1))
    await hooks.send_due()
    endpoint = await hooks.one(org_id, webhook_id)
    assert (endpoint.state, endpoint.reason) == (EndpointState.DISABLED, Reason.GONE)
    # the notice: an event to the other endpoints, and a line in the audit log
    (told,) = await events(db, "auth.webhook.disabled.v1")
    assert told == {"org_id": str(org_id), "webhook_id": str(webhook_id), "reason": "gone"}
    await hooks.say(WebhookDisabled(org_id=org_id, webhook_id=webhook_id, reason="gone"))
    await hooks.send_due()
    assert other.got[0].json["data"] == {
        "org_id": str(org_id), "webhook_id": str(webhook_id), "state": "disabled", "reason": "gone",
    }  # fmt: skip
    entry = (await hooks.accounts.audit_page(org_id, limit=1, before=None))[0]
    assert (entry.action, entry.object_id, entry.details["reason"]) == ("webhook.disable", webhook_id, "gone")
    assert (entry.by, entry.key_id, entry.user_id, entry.address) == ("system", None, None, "")
    # nothing is kept for it meanwhile; enabled again, what waited is sent
    await hooks.say(sync_lost(org_id, uuid.uuid4(), 1))
    with pytest.raises(Conflict):
        await hooks.do.send_test(org_id, webhook_id)
    receiver.status = 200
    await hooks.do.update(org_id, webhook_id, WebhookEdit(is_active=True))
    await hooks.send_due()
    assert [got.id for got in receiver.taken] == [str(first)]
    assert (await hooks.one(org_id, webhook_id)).reason is Reason.NONE


async def test_an_endpoint_that_fails_for_days_is_given_up_and_says_why(
    hooks: Webhooks, receiver: Receiver, org_id: uuid.UUID, db: Database
) -> None:
    webhook_id, _ = await hooks.endpoint(org_id, receiver.url)
    receiver.status = 503
    since = hooks.clock.now()
    for hour in range(80):
        if hour % 10 == 0:
            await hooks.say(sync_lost(org_id, uuid.uuid4(), 1))
        await hooks.send_due()
        hooks.clock.pass_time(hours=1)
    endpoint = await hooks.one(org_id, webhook_id)
    assert (endpoint.state, endpoint.reason, endpoint.failing_since) == (EndpointState.DISABLED, Reason.FAILING, since)
    assert len(await events(db, "auth.webhook.disabled.v1")) == 1
    heard = len(receiver.got)
    hooks.clock.pass_time(hours=100)
    assert await hooks.send_due() == 0
    assert len(receiver.got) == heard


async def test_one_success_ends_the_days_of_failing(hooks: Webhooks, receiver: Receiver, org_id: uuid.UUID) -> None:
    webhook_id, _ = await hooks.endpoint(org_id, receiver.url)
    receiver.answers = [500]
    await hooks.say(sync_lost(org_id, uuid.uuid4(), 1))
    await hooks.send_due()
    assert (await hooks.one(org_id, webhook_id)).failing_since == hooks.clock.now()
    hooks.clock.pass_time(seconds=6)
    await hooks.send_due()
    assert (await hooks.one(org_id, webhook_id)).failing_since is None


async def test_two_secrets_sign_during_the_overlap(hooks: Webhooks, receiver: Receiver, org_id: uuid.UUID) -> None:
    webhook_id, old = await hooks.endpoint(org_id, receiver.url)
    new = (await hooks.do.rotate_secret(org_id, webhook_id, overlap_seconds=3_600)).secret
    await hooks.say(sync_lost(org_id, uuid.uuid4(), 1))
    await hooks.send_due()
    assert len(receiver.got[0].signatures) == 2
    assert is_signed(receiver.got[0], old)
    assert is_signed(receiver.got[0], new)
    hooks.clock.pass_time(seconds=3_601)
    await hooks.say(sync_lost(org_id, uuid.uuid4(), 1))
    await hooks.send_due()
    assert len(receiver.got[1].signatures) == 1
    assert not is_signed(receiver.got[1], old)
    assert is_signed(receiver.got[1], new)
    # never more than two
    for _ in range(3):
        await hooks.do.rotate_secret(org_id, webhook_id, overlap_seconds=3_600)
    await hooks.say(sync_lost(org_id, uuid.uuid4(), 1))
    await hooks.send_due()
    assert len(receiver.got[2].signatures) == 2
    with pytest.raises(InvalidRequest):
        await hooks.do.rotate_secret(org_id, webhook_id, overlap_seconds=7 * 86_400 + 1)


async def test_secrets_are_sealed_at_rest(hooks: Webhooks, receiver: Receiver, org_id: uuid.UUID, db: Database) -> None:
    webhook_id, secret = await hooks.endpoint(org_id, receiver.url)
    assert secret.startswith("whsec_")
    rows = await db.fetch("SELECT sealed FROM webhook_secrets WHERE webhook_id = $1", webhook_id)
    assert len(rows) == 1
    assert secret.encode() not in rows[0]["sealed"]
    assert secret.removeprefix("whsec_").encode() not in rows[0]["sealed"]


async def test_a_secret_that_cannot_be_opened_holds_up_nobody_else(
    hooks: Webhooks, receiver: Receiver, other: Receiver, org_id: uuid.UUID, owner: Database
) -> None:
    broken, _ = await hooks.endpoint(org_id, receiver.url)
    await hooks.endpoint(org_id, other.url)
    await owner.execute("UPDATE auth.webhook_secrets SET sealed = '\\x00' WHERE webhook_id = $1", broken)
    await hooks.say(sync_lost(org_id, uuid.uuid4(), 1))
    await hooks.send_due()
    assert (receiver.got, len(other.got)) == ([], 1), "nothing unsigned is ever sent"
    (delivery,) = await hooks.do.deliveries.page(org_id, broken, limit=5, before=None, state="pending")
    assert "no secret" in delivery.attempts[0].error
    # a new secret mends it
    await hooks.do.rotate_secret(org_id, broken, overlap_seconds=0)
    hooks.clock.pass_time(seconds=6)
    await hooks.send_due()
    assert len(receiver.taken) == 1


async def test_a_test_call_goes_to_its_endpoint_only(
    hooks: Webhooks, receiver: Receiver, other: Receiver, org_id: uuid.UUID
) -> None:
    webhook_id, secret = await hooks.endpoint(org_id, receiver.url, "billing.credits.low")
    await hooks.endpoint(org_id, other.url)
    delivery_id = await hooks.do.send_test(org_id, webhook_id)
    await hooks.send_due()
    assert (receiver.got[0].type, other.got) == ("auth.webhook.tested", [])
    assert is_signed(receiver.got[0], secret)
    delivery = await hooks.do.deliveries.one(org_id, webhook_id, delivery_id)
    assert (delivery.state, delivery.attempts[0].status) == ("delivered", 200)


async def test_a_redirect_is_not_followed(
    hooks: Webhooks, receiver: Receiver, other: Receiver, org_id: uuid.UUID
) -> None:
    webhook_id, _ = await hooks.endpoint(org_id, receiver.url)
    receiver.status, receiver.headers = 307, {"Location": other.url}
    await hooks.say(sync_lost(org_id, uuid.uuid4(), 1))
    await hooks.send_due()
    assert (len(receiver.got), other.got) == (1, [])
    (delivery,) = await hooks.do.deliveries.page(org_id, webhook_id, limit=5, before=None, state="pending")
    assert (delivery.attempts[0].status, delivery.attempts[0].error) == (307, "answered 307")


async def test_retry_after_is_honoured_within_bounds(hooks: Webhooks, receiver: Receiver, org_id: uuid.UUID) -> None:
    webhook_id, _ = await hooks.endpoint(org_id, receiver.url)
    receiver.status, receiver.headers = 429, {"Retry-After": "1000"}
    await hooks.say(sync_lost(org_id, uuid.uuid4(), 1))
    for wanted, expected_s in (("1000", 1000), ("99999999999", LADDER_SECONDS[-1])):
        receiver.headers = {"Retry-After": wanted}
        await hooks.send_due()
        (delivery,) = await hooks.do.deliveries.page(org_id, webhook_id, limit=5, before=None, state="")
        assert delivery.next_attempt_at is not None
        assert (delivery.next_attempt_at - hooks.clock.now()).total_seconds() == expected_s
        hooks.clock.time = delivery.next_attempt_at


async def test_few_requests_at_once_to_one_endpoint_and_one_to_an_endpoint_that_fails(
    hooks: Webhooks, receiver: Receiver, org_id: uuid.UUID
) -> None:
    import asyncio

    await hooks.endpoint(org_id, receiver.url)
    receiver.hold = asyncio.Event()
    for _ in range(3 * IN_FLIGHT_MAX):
        await hooks.say(sync_lost(org_id, uuid.uuid4(), 1))
    begun = 0
    while more := await hooks.loop.once():
        begun += more
    assert begun == IN_FLIGHT_MAX, "the rest waits for these"
    await receiver.until(IN_FLIGHT_MAX)
    receiver.hold.set()
    receiver.status = 500
    await hooks.loop.settle()
    assert await hooks.loop.once() == 1, "it fails: one at a time"
    await hooks.loop.settle()


async def test_a_slow_endpoint_does_not_hold_up_another(
    hooks: Webhooks, receiver: Receiver, other: Receiver, accounts: PostgresAccounts, org_id: uuid.UUID
) -> None:
    import asyncio

    quick = (await an_organization(accounts)).org_id
    await hooks.endpoint(org_id, receiver.url)
    await hooks.endpoint(quick, other.url)
    receiver.hold = asyncio.Event()
    for _ in range(100):
        await hooks.say(sync_lost(org_id, uuid.uuid4(), 1))
    await hooks.say(sync_lost(quick, uuid.uuid4(), 1))
    while await hooks.loop.once():
        pass
    await other.until(1)
    assert len(receiver.got) <= IN_FLIGHT_MAX
    receiver.hold.set()
    await hooks.loop.settle()


async def test_a_deleted_endpoint_hears_nothing_more(
    hooks: Webhooks, receiver: Receiver, org_id: uuid.UUID, db: Database
) -> None:
    webhook_id, _ = await hooks.endpoint(org_id, receiver.url)
    await hooks.say(sync_lost(org_id, uuid.uuid4(), 1))
    await hooks.do.delete(org_id, webhook_id)
    await hooks.say(sync_lost(org_id, uuid.uuid4(), 1))
    assert await hooks.send_due() == 0
    assert receiver.got == []
    assert await hooks.states(org_id, webhook_id) == ["cancelled"]
    assert await db.fetchval("SELECT count(*) FROM webhook_secrets WHERE webhook_id = $1", webhook_id) == 0
    with pytest.raises(NotFound):
        await hooks.do.update(org_id, webhook_id, WebhookEdit(is_active=True))


async def test_a_deleted_organization_hears_nothing_more(
    hooks: Webhooks, receiver: Receiver, org_id: uuid.UUID
) -> None:
    await hooks.endpoint(org_id, receiver.url)
    await hooks.say(sync_lost(org_id, uuid.uuid4(), 1))
    async with hooks.accounts.change(org_id) as change:
        await change.set_state(OrganizationState.DELETED)
    assert await hooks.send_due() == 0
    assert receiver.got == []


async def test_what_was_claimed_by_a_process_that_died_is_sent_by_another_under_the_same_id(
    hooks: Webhooks, receiver: Receiver, org_id: uuid.UUID
) -> None:
    await hooks.endpoint(org_id, receiver.url)
    message_id = await hooks.say(sync_lost(org_id, uuid.uuid4(), 1))
    (abandoned,) = await hooks.do.deliver.claim(10)
    assert await hooks.send_due() == 0, "it is somebody's"
    hooks.clock.pass_time(seconds=31)
    assert await hooks.send_due() == 1
    assert [got.id for got in receiver.got] == [str(message_id)]
    # the one before wakes up again and fails: what was delivered stays delivered
    receiver.status = 500
    await hooks.do.deliver.send(abandoned)
    assert await hooks.states(org_id, abandoned.webhook_id) == ["delivered"]
    assert await hooks.send_due() == 0


async def test_old_deliveries_are_forgotten(
    hooks: Webhooks, receiver: Receiver, org_id: uuid.UUID, db: Database
) -> None:
    webhook_id, _ = await hooks.endpoint(org_id, receiver.url)
    await hooks.say(sync_lost(org_id, uuid.uuid4(), 1))
    await hooks.send_due()
    hooks.clock.pass_time(days=29)
    await hooks.say(sync_lost(org_id, uuid.uuid4(), 1))
    assert await hooks.do.deliver.forget() == 0
    hooks.clock.pass_time(days=2)
    assert await hooks.do.deliver.forget() == 2
    assert await hooks.do.deliver.forget() == 0
    assert await hooks.states(org_id, webhook_id) == ["pending"]
    assert await db.fetchval("SELECT count(*) FROM webhook_attempts") == 0


async def test_how_late_webhooks_are_is_told(hooks: Webhooks, receiver: Receiver, org_id: uuid.UUID) -> None:
    await hooks.endpoint(org_id, receiver.url)
    assert await hooks.do.deliveries.overdue_s() == 0
    await hooks.say(sync_lost(org_id, uuid.uuid4(), 1))
    hooks.clock.pass_time(seconds=90)
    assert await hooks.do.deliveries.overdue_s() == 90
    receiver.status = 500
    await hooks.send_due()
    assert await hooks.do.deliveries.overdue_s() == 0, "what waits for its next attempt is not late"


@pytest.mark.parametrize("what", ["key", "nothing"])
async def test_no_payload_holds_a_digest(hooks: Webhooks, receiver: Receiver, org_id: uuid.UUID, what: str) -> None:
    await hooks.endpoint(org_id, receiver.url)
    key_id, digest = uuid.uuid4(), "ab" * 32
    message: Message = KeyRevoked(org_id=org_id, key_id=key_id, digest=digest, av=3)
    if what == "nothing":
        message = sync_lost(org_id, key_id, 1)
    await hooks.say(message)
    await hooks.send_due()
    assert digest.encode() not in receiver.got[0].body
    assert b"secret reason" not in receiver.got[0].body
