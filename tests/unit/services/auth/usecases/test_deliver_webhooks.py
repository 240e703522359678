"""Deliveries that are due, sent; and what is announced."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from libs.common.contracts.billing import CreditsLow
from libs.common.contracts.webhooks import WebhookDisabled
from libs.common.ids import uuid7
from services.auth.domain.errors import InvalidRequest
from services.auth.domain.webhook import ATTEMPTS_MAX, KEPT_DAYS, LADDER_SECONDS, EndpointState, Heard, Outcome, Reason
from services.auth.usecases.announce_event import AnnounceEvent
from services.auth.usecases.deliver_webhooks import DeliverWebhooks
from services.auth.usecases.make_announcement import MakeAnnouncement
from tests.support.auth_apps import an_owner
from tests.support.auth_webhook_memory import MemoryAnnouncements, MemoryDeliveries, MemoryEndpoints, ToldReceivers
from tests.support.auth_webhooks import an_endpoint, an_event
from tests.support.auth_world import World


class Hooks(World):
    """One endpoint of one organization, and the use case that sends."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.receivers = ToldReceivers()
        self.endpoints = MemoryEndpoints(self.accounts, self.clock)
        self.deliveries = MemoryDeliveries(self.accounts, self.clock)
        self.do = DeliverWebhooks(self.deliveries, self.receivers, self.clock, jitter=lambda: 0.0)

    async def begin(self) -> uuid.UUID:
        organization, _ = await an_owner(self.accounts)
        self.endpoint = an_endpoint(organization.org_id)
        async with self.endpoints.change(organization.org_id, None) as change:
            await change.add(self.endpoint, "whsec_x")
        return organization.org_id

    async def send_due(self) -> list[Outcome]:
        return [await self.do.send(each) for each in await self.do.claim(10)]

    async def state(self) -> str:
        (delivery,) = await self.deliveries.page(
            self.endpoint.org_id, self.endpoint.webhook_id, limit=1, before=None, state=""
        )
        return delivery.state


async def hooks() -> tuple[Hooks, uuid.UUID]:
    world = Hooks()
    return world, await world.begin()


async def test_what_is_taken_is_delivered_once() -> None:
    world, org_id = await hooks()
    event = an_event(org_id)
    await world.deliveries.add(uuid7(), [event])
    assert [await world.send_due(), await world.send_due()] == [[Outcome.DELIVERED], []]
    (sent,) = world.receivers.got
    assert (sent.event_id, sent.body, sent.secrets) == (event.event_id, event.body, ("whsec_x",))
    assert await world.state() == "delivered"


async def test_what_fails_is_tried_again_up_the_ladder_and_then_no_more() -> None:
    world, org_id = await hooks()
    await world.deliveries.add(uuid7(), [an_event(org_id)])
    world.receivers.answers = [Heard(status=503)] * ATTEMPTS_MAX
    outcomes = []
    for wait_s in (*LADDER_SECONDS, 0):
        outcomes += await world.send_due()
        world.clock.pass_time(seconds=max(wait_s - 1, 0))
        assert await world.send_due() == []
        world.clock.pass_time(seconds=1)
    assert outcomes == [Outcome.FAILED] * (ATTEMPTS_MAX - 1) + [Outcome.EXHAUSTED]
    assert await world.state() == "exhausted"
    assert len({each.event_id for each in world.receivers.got}) == 1
    assert [each.attempts for each in world.receivers.got] == list(range(ATTEMPTS_MAX))


async def test_a_receiver_may_ask_for_patience() -> None:
    world, org_id = await hooks()
    await world.deliveries.add(uuid7(), [an_event(org_id)])
    world.receivers.answers = [Heard(status=429, retry_after_s=600)]
    await world.send_due()
    world.clock.pass_time(seconds=599)
    assert await world.send_due() == []
    world.clock.pass_time(seconds=1)
    assert await world.send_due() == [Outcome.DELIVERED]


async def test_a_receiver_that_is_gone_is_switched_off_at_once_by_the_system() -> None:
    world, org_id = await hooks()
    await world.deliveries.add(uuid7(), [an_event(org_id)])
    world.receivers.answers = [Heard(status=410)]
    assert await world.send_due() == [Outcome.GONE]
    shown = await world.endpoints.one(org_id, world.endpoint.webhook_id)
    assert (shown.state, shown.reason) == (EndpointState.DISABLED, Reason.GONE)
    entry = await world.last_entry(org_id)
    assert (entry.action, entry.by) == ("webhook.disable", "system")
    assert world.accounts.events[-1] == WebhookDisabled(
        org_id=org_id, webhook_id=world.endpoint.webhook_id, reason="gone"
    )


async def test_an_endpoint_to_which_nothing_gets_through_for_days_is_given_up() -> None:
    world, org_id = await hooks()
    world.receivers.answers = [Heard(error="no answer")] * 500
    for hour in range(100):
        if hour % 12 == 0:
            await world.deliveries.add(uuid7(), [an_event(org_id)])
        outcomes = await world.send_due()
        if Outcome.GIVEN_UP in outcomes:
            break
        world.clock.pass_time(hours=1)
    shown = await world.endpoints.one(org_id, world.endpoint.webhook_id)
    assert (shown.state, shown.reason) == (EndpointState.DISABLED, Reason.FAILING)
    assert shown.failing_since is not None
    assert world.clock.now() - shown.failing_since >= timedelta(days=3)
    assert await world.do.claim(10) == []


async def test_what_is_older_than_is_kept_is_forgotten() -> None:
    world, org_id = await hooks()
    await world.deliveries.add(uuid7(), [an_event(org_id)])
    await world.send_due()
    world.clock.pass_time(days=KEPT_DAYS)
    assert await world.do.forget() == 0
    world.clock.pass_time(seconds=1)
    assert await world.do.forget() == 2  # the delivery, and the event


async def test_a_message_of_the_bus_becomes_one_webhook_however_often_it_comes() -> None:
    world, org_id = await hooks()
    low = CreditsLow(org_id=org_id, balance=10, threshold_percent=20)
    message_id = uuid7()
    for _ in range(3):
        await AnnounceEvent(world.deliveries)(low, message_id)
    assert await world.send_due() == [Outcome.DELIVERED]
    assert world.receivers.got[0].event_id == message_id


async def test_an_announcement_can_be_read_at_once() -> None:
    world, _ = await hooks()
    announcements = MemoryAnnouncements(world.accounts)
    do = MakeAnnouncement(announcements, world.clock)
    made = await do(subject="terms", title=" New terms ", text=" All of it ", url="https://example.com/terms")
    (told,) = await announcements.page(limit=9, before=None)
    assert (told.announcement_id, told.title, told.text, told.made_at) == (
        made,
        "New terms",
        "All of it",
        world.clock.now(),
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"subject": "weather"},
        {"title": " "},
        {"title": "x" * 201},
        {"text": ""},
        {"text": "x" * 5_001},
        {"url": "http://a.b/"},
    ],
    ids=["subject", "no title", "long title", "no text", "long text", "http"],
)
async def test_what_is_no_announcement(wrong: dict[str, Any]) -> None:
    world, _ = await hooks()
    announcements = MemoryAnnouncements(world.accounts)
    with pytest.raises(InvalidRequest):
        await MakeAnnouncement(announcements, world.clock)(**({"subject": "api", "title": "T", "text": "t"} | wrong))
    assert await announcements.page(limit=9, before=None) == []
