"""The ports `Endpoints`, `EndpointChange`, `Deliveries` and `Announcements`, by the doubles and by Postgres."""

import uuid
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from libs.common.contracts.auth import Actor
from libs.common.contracts.webhooks import Announcement, AnnouncementMade, WebhookDisabled
from libs.common.ids import uuid7
from services.auth.domain.app import AppState, Domain, Method
from services.auth.domain.errors import Conflict, NotFound
from services.auth.domain.organization import Organization, OrganizationState
from services.auth.domain.webhook import (
    CLAIM_SECONDS,
    IN_FLIGHT_MAX,
    Endpoint,
    EndpointState,
    Heard,
    Outcome,
    Reason,
    Sending,
    Verdict,
)
from services.auth.domain.webhook_events import Event
from tests.contract.auth.conftest import AppPorts
from tests.support.auth import NOW
from tests.support.auth_apps import a_given_grant, a_registered_app, an_owner
from tests.support.auth_webhooks import an_endpoint, an_event

replace = msgspec.structs.replace
FAILED = Heard(status=500)


async def added(
    app_ports: AppPorts, organization: Organization, secret: str = "whsec_first", **changed: Any
) -> Endpoint:
    endpoint = an_endpoint(organization.org_id, **changed)
    async with app_ports.endpoints.change(organization.org_id, None) as change:
        await change.add(endpoint, secret)
    return endpoint


async def say(app_ports: AppPorts, *events: Event) -> None:
    await app_ports.deliveries.add(uuid7(), events)


async def states(app_ports: AppPorts, endpoint: Endpoint) -> list[str]:
    page = await app_ports.deliveries.page(endpoint.org_id, endpoint.webhook_id, limit=50, before=None, state="")
    return [each.state for each in reversed(page)]


async def end(
    app_ports: AppPorts, sending: Sending, outcome: Outcome, heard: Heard | None = None, wait_s: int = 0
) -> None:
    now = app_ports.clock.now()
    await app_ports.deliveries.finish(
        sending, heard or Heard(status=200), Verdict(outcome=outcome, due_at=now + timedelta(seconds=wait_s)),
        at=now, duration_ms=7,
    )  # fmt: skip


async def test_an_endpoint_is_its_organizations(app_ports: AppPorts) -> None:
    organization, _ = await an_owner(app_ports.accounts)
    other, _ = await an_owner(app_ports.accounts)
    first = await added(app_ports, organization, event_types=("auth.key.revoked",), description="ours")
    second = await added(app_ports, organization)
    assert await app_ports.endpoints.one(organization.org_id, first.webhook_id) == first
    assert await app_ports.endpoints.all(organization.org_id) == [second, first]
    assert await app_ports.endpoints.all(other.org_id) == []
    with pytest.raises(NotFound):
        await app_ports.endpoints.one(other.org_id, first.webhook_id)
    async with app_ports.endpoints.change(other.org_id, None) as change:
        assert await change.count() == 0
        with pytest.raises(NotFound):
            await change.endpoint(first.webhook_id)
    async with app_ports.endpoints.change(organization.org_id, None) as change:
        assert await change.count() == 2
        assert await change.endpoint(first.webhook_id) == first
    assert (await app_ports.accounts.organization(organization.org_id)).av == organization.av, "no right moved"


async def test_every_write_is_in_the_log_with_who_did_it(app_ports: AppPorts) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    endpoint, by = an_endpoint(organization.org_id), Actor(user_id=owner.user_id)
    async with app_ports.endpoints.change(organization.org_id, by) as change:
        await change.add(endpoint, "whsec_a")
        await change.update(endpoint, replace(endpoint, description="new"))
        await change.rotate(endpoint, "whsec_b", old_until=NOW)
        await change.send(endpoint, an_event(organization.org_id))
        await change.delete(replace(endpoint, state=EndpointState.DELETED))
    log = await app_ports.accounts.audit_page(organization.org_id, limit=5, before=None)
    assert [each.action for each in reversed(log)] == [
        "webhook.create", "webhook.update", "webhook.rotate_secret", "webhook.test", "webhook.delete",
    ]  # fmt: skip
    assert {(each.by, each.user_id, each.object_id) for each in log} == {("user", owner.user_id, endpoint.webhook_id)}
    assert "whsec" not in str(log)


async def test_a_deleted_endpoint_is_found_by_name_only_and_nothing_waits_for_it(app_ports: AppPorts) -> None:
    organization, _ = await an_owner(app_ports.accounts)
    endpoint = await added(app_ports, organization)
    await say(app_ports, an_event(organization.org_id))
    async with app_ports.endpoints.change(organization.org_id, None) as change:
        await change.delete(replace(endpoint, state=EndpointState.DELETED))
        assert await change.count() == 0
        with pytest.raises(NotFound):
            await change.endpoint(endpoint.webhook_id)
    assert (await app_ports.endpoints.one(organization.org_id, endpoint.webhook_id)).state is EndpointState.DELETED
    assert await app_ports.endpoints.all(organization.org_id) == []
    assert await states(app_ports, endpoint) == ["cancelled"]
    assert await app_ports.deliveries.claim(10) == []


async def test_two_secrets_sign_at_most_and_the_old_one_ends(app_ports: AppPorts) -> None:
    organization, _ = await an_owner(app_ports.accounts)
    endpoint = await added(app_ports, organization, "whsec_1")
    signing = []
    for secret in ("whsec_2", "whsec_3"):
        app_ports.clock.pass_time(minutes=1)
        until = app_ports.clock.now() + timedelta(hours=1)
        async with app_ports.endpoints.change(organization.org_id, None) as change:
            await change.rotate(endpoint, secret, old_until=until)
        shown = await app_ports.endpoints.one(organization.org_id, endpoint.webhook_id)
        assert (shown.secret_rotated_at, shown.old_secret_until) == (app_ports.clock.now(), until)
    for hours in (0, 2):
        app_ports.clock.pass_time(hours=hours)
        await say(app_ports, an_event(organization.org_id))
        (sending,) = await app_ports.deliveries.claim(10)
        signing.append(sending.secrets)
        await end(app_ports, sending, Outcome.DELIVERED)
    assert signing == [("whsec_3", "whsec_2"), ("whsec_3",)]
    assert (await app_ports.endpoints.one(organization.org_id, endpoint.webhook_id)).old_secret_until is None


async def test_who_hears_of_an_event(app_ports: AppPorts) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    other, _ = await an_owner(app_ports.accounts)
    app = await a_registered_app(app_ports.accounts, owner)
    grant = await a_given_grant(app_ports.accounts, app, owner)
    everything = await added(app_ports, organization)
    one_type = await added(app_ports, organization, event_types=("auth.key.revoked",))
    resting = await added(app_ports, organization)
    async with app_ports.endpoints.change(organization.org_id, None) as change:
        await change.update(resting, replace(resting, state=EndpointState.DISABLED, reason=Reason.ASKED))
    the_apps = await added(app_ports, organization, app_id=app.app_id)
    theirs = await added(app_ports, other)
    endpoints = [everything, one_type, resting, the_apps, theirs]

    async def heard(event: Event) -> list[int]:
        before = [len(await states(app_ports, each)) for each in endpoints]
        await say(app_ports, event)
        return [len(await states(app_ports, each)) - had for each, had in zip(endpoints, before, strict=True)]

    model = {"model_id": grant.model_id}
    assert await heard(an_event(organization.org_id)) == [1, 0, 0, 0, 0]
    assert await heard(an_event(organization.org_id, type="auth.key.revoked")) == [1, 1, 0, 0, 0]
    assert await heard(an_event(organization.org_id, **model)) == [1, 0, 0, 1, 0]
    assert await heard(an_event(organization.org_id, model_id=uuid.uuid4())) == [1, 0, 0, 0, 0]
    assert await heard(an_event(None)) == [1, 0, 0, 1, 1]
    assert await heard(an_event(organization.org_id, not_to=everything.webhook_id)) == [0, 0, 0, 0, 0]
    async with app_ports.accounts.change(organization.org_id) as own:
        await own.update_app(app, replace(app, state=AppState.SUSPENDED))
    assert await heard(an_event(organization.org_id, **model)) == [1, 0, 0, 0, 0]
    async with app_ports.accounts.change(organization.org_id) as own:
        await own.set_state(OrganizationState.DELETED)
    assert await heard(an_event(None)) == [0, 0, 0, 0, 1]


async def test_a_message_counts_once(app_ports: AppPorts) -> None:
    organization, _ = await an_owner(app_ports.accounts)
    endpoint, message_id = await added(app_ports, organization), uuid7()
    for _ in range(2):
        await app_ports.deliveries.add(message_id, [an_event(organization.org_id)])
    assert await states(app_ports, endpoint) == ["pending"]


async def test_one_delivery_at_a_time_of_an_entity_in_its_order(app_ports: AppPorts) -> None:
    organization, _ = await an_owner(app_ports.accounts)
    await added(app_ports, organization)
    events = [an_event(organization.org_id, entity="model:1", number=number) for number in (1, 2)]
    await say(app_ports, *events)
    (first,) = await app_ports.deliveries.claim(10)
    assert (first.event_id, first.body, first.attempts) == (events[0].event_id, events[0].body, 0)
    assert await app_ports.deliveries.claim(10) == []
    await end(app_ports, first, Outcome.FAILED, FAILED, wait_s=60)
    assert await app_ports.deliveries.claim(10) == [], "the second waits behind the first"
    app_ports.clock.pass_time(seconds=60)
    (again,) = await app_ports.deliveries.claim(10)
    assert (again.event_id, again.attempts) == (events[0].event_id, 1)
    await end(app_ports, again, Outcome.DELIVERED)
    (second,) = await app_ports.deliveries.claim(10)
    assert second.event_id == events[1].event_id


async def test_few_at_once_go_to_one_endpoint_and_one_where_it_fails(app_ports: AppPorts) -> None:
    organization, _ = await an_owner(app_ports.accounts)
    endpoint = await added(app_ports, organization)
    await say(app_ports, *(an_event(organization.org_id, entity=f"model:{n}") for n in range(IN_FLIGHT_MAX + 2)))
    claimed = []
    while more := await app_ports.deliveries.claim(1):
        claimed += more
    assert len(claimed) == IN_FLIGHT_MAX
    await end(app_ports, claimed[0], Outcome.FAILED, FAILED, wait_s=3_600)
    assert (await app_ports.endpoints.one(organization.org_id, endpoint.webhook_id)).failing_since == NOW
    assert await app_ports.deliveries.claim(10) == []
    for sending in claimed[1:]:
        await end(app_ports, sending, Outcome.FAILED, FAILED, wait_s=3_600)
    (probe,) = await app_ports.deliveries.claim(1)
    assert await app_ports.deliveries.claim(1) == []
    await end(app_ports, probe, Outcome.DELIVERED)
    assert (await app_ports.endpoints.one(organization.org_id, endpoint.webhook_id)).failing_since is None


async def test_a_claim_that_nobody_finished_ends_and_is_somebody_elses(app_ports: AppPorts) -> None:
    organization, _ = await an_owner(app_ports.accounts)
    endpoint = await added(app_ports, organization)
    await say(app_ports, an_event(organization.org_id))
    (lost,) = await app_ports.deliveries.claim(10)
    app_ports.clock.pass_time(seconds=CLAIM_SECONDS)
    (mine,) = await app_ports.deliveries.claim(10)
    assert (mine.delivery_id, mine.event_id) == (lost.delivery_id, lost.event_id)
    # what the first one heard in vain is noted, and decides nothing
    await end(app_ports, lost, Outcome.EXHAUSTED, FAILED)
    assert await states(app_ports, endpoint) == ["pending"]
    await end(app_ports, mine, Outcome.DELIVERED)
    (delivery,) = await app_ports.deliveries.page(
        organization.org_id, endpoint.webhook_id, limit=1, before=None, state="delivered"
    )
    assert [each.status for each in delivery.attempts] == [500, 200]
    assert delivery.delivered_at == app_ports.clock.now()


async def test_what_a_late_answer_delivered_is_delivered(app_ports: AppPorts) -> None:
    organization, _ = await an_owner(app_ports.accounts)
    endpoint = await added(app_ports, organization)
    await say(app_ports, an_event(organization.org_id))
    (late,) = await app_ports.deliveries.claim(10)
    app_ports.clock.pass_time(seconds=CLAIM_SECONDS)
    (mine,) = await app_ports.deliveries.claim(10)
    await end(app_ports, late, Outcome.DELIVERED)
    assert await states(app_ports, endpoint) == ["delivered"]
    await end(app_ports, mine, Outcome.DELIVERED)
    assert await states(app_ports, endpoint) == ["delivered"]


async def test_an_older_version_is_no_news_after_a_newer_one(app_ports: AppPorts) -> None:
    organization, _ = await an_owner(app_ports.accounts)
    endpoint = await added(app_ports, organization)
    await say(app_ports, an_event(organization.org_id, entity="model:1", number=2, is_versioned=True))
    (sending,) = await app_ports.deliveries.claim(10)
    await end(app_ports, sending, Outcome.DELIVERED)
    await say(app_ports, an_event(organization.org_id, entity="model:1", number=1, is_versioned=True))
    await say(app_ports, an_event(organization.org_id, entity="model:2", number=1, is_versioned=True))
    assert await states(app_ports, endpoint) == ["delivered", "superseded", "pending"]


@pytest.mark.parametrize(("outcome", "reason"), [(Outcome.GONE, Reason.GONE), (Outcome.GIVEN_UP, Reason.FAILING)])
async def test_an_endpoint_is_switched_off_by_the_system_which_says_so(
    app_ports: AppPorts, outcome: Outcome, reason: Reason
) -> None:
    organization, _ = await an_owner(app_ports.accounts)
    endpoint = await added(app_ports, organization)
    await say(app_ports, an_event(organization.org_id))
    (sending,) = await app_ports.deliveries.claim(10)
    await end(app_ports, sending, outcome, FAILED)
    shown = await app_ports.endpoints.one(organization.org_id, endpoint.webhook_id)
    assert (shown.state, shown.reason) == (EndpointState.DISABLED, reason)
    assert await states(app_ports, endpoint) == ["pending"]
    assert await app_ports.deliveries.claim(10) == []
    (entry,) = await app_ports.accounts.audit_page(organization.org_id, limit=1, before=None)
    assert (entry.action, entry.by, entry.object_id) == ("webhook.disable", "system", endpoint.webhook_id)
    assert entry.details == {"host": "receiver.example.com", "reason": str(reason)}
    told = WebhookDisabled(org_id=organization.org_id, webhook_id=endpoint.webhook_id, reason=str(reason))
    assert told in await app_ports.events()
    # enabled again, what waited is sent with a whole ladder before it
    async with app_ports.endpoints.change(organization.org_id, None) as change:
        held = await change.endpoint(endpoint.webhook_id)
        active = replace(held, state=EndpointState.ACTIVE, reason=Reason.NONE, failing_since=None)
        await change.update(held, active)
        await change.resume(active)
    (again,) = await app_ports.deliveries.claim(10)
    assert (again.event_id, again.attempts) == (sending.event_id, 0)


async def test_what_is_finished_is_sent_again_under_the_same_id(app_ports: AppPorts) -> None:
    organization, _ = await an_owner(app_ports.accounts)
    endpoint = await added(app_ports, organization)
    await say(app_ports, an_event(organization.org_id))
    (sending,) = await app_ports.deliveries.claim(10)

    async def replay(delivery_id: uuid.UUID) -> None:
        async with app_ports.endpoints.change(organization.org_id, None) as change:
            await change.replay(await change.endpoint(endpoint.webhook_id), delivery_id)

    with pytest.raises(Conflict):
        await replay(sending.delivery_id)
    with pytest.raises(NotFound):
        await replay(uuid7())
    await end(app_ports, sending, Outcome.EXHAUSTED, FAILED)
    assert await states(app_ports, endpoint) == ["exhausted"]
    await replay(sending.delivery_id)
    (again,) = await app_ports.deliveries.claim(10)
    assert (again.delivery_id, again.event_id, again.attempts) == (sending.delivery_id, sending.event_id, 0)


async def test_an_app_hears_no_more_of_a_model_once_the_grant_ended(app_ports: AppPorts) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    app = await a_registered_app(app_ports.accounts, owner)
    grant = await a_given_grant(app_ports.accounts, app, owner)
    endpoint = await added(app_ports, organization, app_id=app.app_id)
    await say(app_ports, an_event(organization.org_id, model_id=grant.model_id))
    async with app_ports.accounts.change(organization.org_id) as change:
        await change.revoke_grant(grant, NOW)
    assert await app_ports.deliveries.claim(10) == []
    assert await states(app_ports, endpoint) == ["cancelled"]


async def test_the_domains_of_an_app_are_those_that_were_proved(app_ports: AppPorts) -> None:
    organization, owner = await an_owner(app_ports.accounts)
    app = await a_registered_app(app_ports.accounts, owner)
    async with app_ports.accounts.change(organization.org_id) as own:
        for domain in ("a.example", "b.example"):
            await own.add_domain(app.app_id, Domain(domain=domain, token="t", created_at=NOW))
        await own.verify_domain(app.app_id, "b.example", Method.DNS, NOW)
    async with app_ports.endpoints.change(organization.org_id, None) as change:
        assert await change.app_domains(app.app_id) == ["b.example"]
        with pytest.raises(NotFound):
            await change.app_domains(uuid.uuid4())


async def test_pages_and_when_a_delivery_is_tried_next(app_ports: AppPorts) -> None:
    organization, _ = await an_owner(app_ports.accounts)
    other, _ = await an_owner(app_ports.accounts)
    endpoint = await added(app_ports, organization)
    await say(app_ports, *(an_event(organization.org_id, entity="model:1", number=number) for number in (1, 2, 3)))
    (sending,) = await app_ports.deliveries.claim(10)
    await end(app_ports, sending, Outcome.FAILED, Heard(error="no answer"), wait_s=300)

    async def page(org_id: uuid.UUID = organization.org_id, **wanted: Any) -> list[Any]:
        asked = {"limit": 10, "before": None, "state": ""} | wanted
        return await app_ports.deliveries.page(org_id, endpoint.webhook_id, **asked)

    newest, middle, oldest = await page()
    assert [each.next_attempt_at for each in (oldest, middle, newest)] == [NOW + timedelta(seconds=300), None, None]
    assert [(each.status, each.error, each.duration_ms, each.at) for each in oldest.attempts] == [
        (None, "no answer", 7, NOW)
    ]
    assert await page(limit=1, before=newest.delivery_id) == [middle]
    assert await page(state="delivered") == []
    assert await page(org_id=other.org_id) == []
    assert await app_ports.deliveries.one(organization.org_id, endpoint.webhook_id, middle.delivery_id) == middle
    for org_id, delivery_id in ((other.org_id, middle.delivery_id), (organization.org_id, uuid7())):
        with pytest.raises(NotFound):
            await app_ports.deliveries.one(org_id, endpoint.webhook_id, delivery_id)


async def test_how_long_the_oldest_has_been_due(app_ports: AppPorts) -> None:
    organization, _ = await an_owner(app_ports.accounts)
    await added(app_ports, organization)
    assert await app_ports.deliveries.overdue_s() == 0
    await say(app_ports, an_event(organization.org_id))
    app_ports.clock.pass_time(seconds=90)
    await say(app_ports, an_event(organization.org_id))
    assert await app_ports.deliveries.overdue_s() == 90


async def test_what_is_old_is_forgotten_with_its_events(app_ports: AppPorts) -> None:
    organization, _ = await an_owner(app_ports.accounts)
    endpoint = await added(app_ports, organization)
    await say(app_ports, an_event(organization.org_id, entity="model:1"))
    app_ports.clock.pass_time(days=2)
    await say(app_ports, an_event(organization.org_id, entity="model:2"))
    assert await app_ports.deliveries.forget(NOW + timedelta(days=1)) == 2  # the delivery, and the event
    assert await states(app_ports, endpoint) == ["pending"]
    assert await app_ports.deliveries.forget(NOW + timedelta(days=1)) == 0


async def test_announcements_are_read_newest_first_and_told_to_the_bus(app_ports: AppPorts) -> None:
    told = [
        Announcement(
            announcement_id=uuid7(), made_at=NOW, subject="terms", title=f"Number {number}", text="New terms",
            effective_at=NOW + timedelta(days=30), url="https://example.com/terms",
        )
        for number in range(3)
    ]  # fmt: skip
    for announcement in told:
        await app_ports.announcements.add(announcement)
    assert await app_ports.announcements.page(limit=2, before=None) == [told[2], told[1]]
    assert await app_ports.announcements.page(limit=2, before=told[1].announcement_id) == [told[0]]
    made = [each for each in await app_ports.events() if isinstance(each, AnnouncementMade)]
    assert [each.announcement_id for each in made] == [each.announcement_id for each in told]
    assert (made[0].subject, made[0].effective_at) == ("terms", NOW + timedelta(days=30))
