"""Endpoints of webhooks: a new one, what changes, its secret, its end; and what its owner asks to be sent."""

import uuid
from typing import Any

import msgspec
import pytest
from standardwebhooks import Webhook

from libs.common.contracts.auth import Actor
from services.auth.domain.app import Domain, Method
from services.auth.domain.errors import Conflict, InvalidApiKey, InvalidRequest, NotFound, PermissionDenied
from services.auth.domain.webhook import ENDPOINTS_MAX, Endpoint, EndpointState, Reason
from services.auth.usecases.create_webhook import CreateWebhook, Places, SecretShown, WebhookOrder
from services.auth.usecases.delete_webhook import DeleteWebhook
from services.auth.usecases.rotate_webhook_secret import RotateWebhookSecret
from services.auth.usecases.send_again import ReplayDelivery, SendTest
from services.auth.usecases.update_webhook import UpdateWebhook, WebhookEdit
from tests.support.auth import a_key
from tests.support.auth_apps import a_registered_app, an_owner
from tests.support.auth_webhook_memory import MemoryDeliveries, MemoryEndpoints, ToldReceivers
from tests.support.auth_webhooks import an_event
from tests.support.auth_world import World

URL = "https://receiver.example.com/hook"


class Hooks(World):
    """The use cases about endpoints; `woken` counts what was put on its way."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.woken = 0
        self.receivers = ToldReceivers()
        self.endpoints = MemoryEndpoints(self.accounts, self.clock)
        self.deliveries = MemoryDeliveries(self.accounts, self.clock)
        self.places = Places(self.receivers, is_strict=True)

    def wake(self) -> None:
        self.woken += 1

    async def create(self, org_id: uuid.UUID, **order: Any) -> SecretShown:
        wanted = WebhookOrder(**({"org_id": org_id, "url": URL} | order))  # type: ignore[arg-type]
        return await CreateWebhook(self.endpoints, self.places, self.clock)(wanted)

    async def update(self, org_id: uuid.UUID, webhook_id: uuid.UUID, by: Actor | None = None, **edit: Any) -> Endpoint:
        await UpdateWebhook(self.endpoints, self.places, self.clock, self.wake)(
            org_id, webhook_id, WebhookEdit(**edit), by=by
        )
        return await self.endpoints.one(org_id, webhook_id)

    async def rotate(self, org_id: uuid.UUID, webhook_id: uuid.UUID, overlap_seconds: int = 60) -> SecretShown:
        return await RotateWebhookSecret(self.endpoints, self.clock)(
            org_id, webhook_id, overlap_seconds=overlap_seconds
        )

    async def signing(self, org_id: uuid.UUID) -> tuple[str, ...]:
        """What signs the next delivery."""
        await self.deliveries.add(uuid.uuid4(), [an_event(org_id)])
        (sending,) = await self.deliveries.claim(1)
        return sending.secrets


async def hooks() -> tuple[Hooks, uuid.UUID]:
    world = Hooks()
    organization, _ = await an_owner(world.accounts)
    return world, organization.org_id


async def test_an_endpoint_hears_of_everything_unless_types_are_named() -> None:
    world, org_id = await hooks()
    made = await world.create(org_id)
    named = await world.create(org_id, event_types=["auth.key.revoked", "auth.key.revoked"], description="ours")
    shown = [await world.endpoints.one(org_id, each.webhook_id) for each in (made, named)]
    assert [(each.url, each.event_types, each.description, each.state) for each in shown] == [
        (URL, (), "", EndpointState.ACTIVE), (URL, ("auth.key.revoked",), "ours", EndpointState.ACTIVE),
    ]  # fmt: skip


async def test_a_secret_is_one_of_standard_webhooks_and_is_shown_once() -> None:
    world, org_id = await hooks()
    made = await world.create(org_id)
    Webhook(made.secret)  # raises for one that is none
    assert made.secret.startswith("whsec_")
    assert made.secret not in repr(made)
    assert made.secret != (await world.create(org_id)).secret
    assert "whsec_" not in repr(await world.endpoints.all(org_id))


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://receiver.example.com/"},
        {"url": "https://127.0.0.1/"},
        {"url": "https://nowhere.example.com/"},
        {"event_types": ["no.such.event"]},
        {"description": "two\nlines"},
        {"description": "x" * 201},
    ],
    ids=["http", "loopback", "nowhere", "type", "lines", "long"],
)
async def test_what_may_not_be_is_refused_and_nothing_is_left(wrong: dict[str, Any]) -> None:
    world, org_id = await hooks()
    world.receivers.nowhere.add("https://nowhere.example.com/")
    with pytest.raises(InvalidRequest):
        await world.create(org_id, **wrong)
    assert await world.endpoints.all(org_id) == []
    made = await world.create(org_id)
    with pytest.raises(InvalidRequest):
        await world.update(org_id, made.webhook_id, **wrong)
    assert (await world.endpoints.one(org_id, made.webhook_id)).url == URL


async def test_an_organization_has_so_many_and_deleted_ones_do_not_count() -> None:
    world, org_id = await hooks()
    made = [await world.create(org_id) for _ in range(ENDPOINTS_MAX)]
    with pytest.raises(Conflict, match=str(ENDPOINTS_MAX)):
        await world.create(org_id)
    await DeleteWebhook(world.endpoints)(org_id, made[0].webhook_id)
    await world.create(org_id)
    with pytest.raises(NotFound):
        await DeleteWebhook(world.endpoints)(org_id, made[0].webhook_id)


async def test_a_key_of_one_model_asks_for_no_webhook_and_a_strangers_key_for_nothing() -> None:
    world, org_id = await hooks()
    other, _ = await an_owner(world.accounts)
    async with world.accounts.change(org_id) as change:
        role = await change.role_named("owner")
        whole, bound = a_key(org_id, role), a_key(org_id, role, model_id=uuid.uuid4())
        for key in (whole, bound):
            await change.add_key(key)
    made = await world.create(org_id, by=Actor(key_id=whole.key_id))
    by = Actor(key_id=bound.key_id)
    with pytest.raises(PermissionDenied):
        await world.create(org_id, by=by)
    with pytest.raises(PermissionDenied):
        await world.update(org_id, made.webhook_id, by=by, description="x")
    with pytest.raises(InvalidApiKey):
        await world.create(other.org_id, by=Actor(key_id=whole.key_id))


async def test_an_apps_endpoint_lies_under_a_domain_that_was_proved() -> None:
    world, org_id = await hooks()
    async with world.accounts.change(org_id) as change:
        (owner,) = await change.owners()
    app = await a_registered_app(world.accounts, owner)
    with pytest.raises(NotFound):
        await world.create(org_id, app_id=uuid.uuid4())
    with pytest.raises(InvalidRequest, match="domain"):
        await world.create(org_id, app_id=app.app_id)
    async with world.accounts.change(org_id) as change:
        now = world.clock.now()
        await change.add_domain(app.app_id, Domain(domain="example.com", token="t", created_at=now))
        await change.verify_domain(app.app_id, "example.com", Method.DNS, now)
    made = await world.create(org_id, app_id=app.app_id)
    with pytest.raises(InvalidRequest, match="domain"):
        await world.update(org_id, made.webhook_id, url="https://evilexample.com/hook")
    assert (await world.update(org_id, made.webhook_id, url="https://example.com/h")).url == "https://example.com/h"


async def test_what_is_not_given_stays_and_what_changes_nothing_is_not_in_the_log() -> None:
    world, org_id = await hooks()
    made = await world.create(org_id, event_types=["auth.key.revoked"], description="ours")
    shown = await world.update(org_id, made.webhook_id, description="theirs")
    assert (shown.event_types, shown.description) == (("auth.key.revoked",), "theirs")
    entry = await world.last_entry(org_id)
    assert (entry.action, entry.details) == ("webhook.update", {"description": {"from": "ours", "to": "theirs"}})
    await world.update(org_id, made.webhook_id, description="theirs", is_active=True)
    assert await world.last_entry(org_id) == entry


async def test_the_log_tells_where_an_endpoint_lies_and_not_what_its_path_may_hide() -> None:
    world, org_id = await hooks()
    made = await world.create(org_id, url="https://receiver.example.com/planted-token")
    await world.update(org_id, made.webhook_id, url="https://other.example.com/planted-token")
    assert (await world.last_entry(org_id)).details == {
        "host": {"from": "receiver.example.com", "to": "other.example.com"}
    }
    assert "planted-token" not in repr(await world.accounts.audit_page(org_id, limit=9, before=None))


async def test_an_endpoint_rests_and_goes_on() -> None:
    world, org_id = await hooks()
    made = await world.create(org_id)
    await world.deliveries.add(uuid.uuid4(), [an_event(org_id)])
    rests = await world.update(org_id, made.webhook_id, is_active=False)
    assert (rests.state, rests.reason) == (EndpointState.DISABLED, Reason.ASKED)
    assert await world.deliveries.claim(9) == []
    for refused in (
        SendTest(world.endpoints, world.wake)(org_id, made.webhook_id),
        ReplayDelivery(world.endpoints, world.wake)(org_id, made.webhook_id, uuid.uuid4()),
    ):
        with pytest.raises(Conflict, match="disabled"):
            await refused
    woken = world.woken
    goes_on = await world.update(org_id, made.webhook_id, is_active=True)
    assert (goes_on.state, goes_on.reason, goes_on.failing_since) == (EndpointState.ACTIVE, Reason.NONE, None)
    assert world.woken == woken + 1
    assert len(await world.deliveries.claim(9)) == 1


async def test_the_old_secret_signs_beside_the_new_one_for_a_while() -> None:
    world, org_id = await hooks()
    made = await world.create(org_id)
    new = await world.rotate(org_id, made.webhook_id)
    assert await world.signing(org_id) == (new.secret, made.secret)
    world.clock.pass_time(seconds=60)
    assert await world.signing(org_id) == (new.secret,)
    newest = await world.rotate(org_id, made.webhook_id, overlap_seconds=0)
    assert await world.signing(org_id) == (newest.secret,)


@pytest.mark.parametrize("seconds", [-1, 7 * 86_400 + 1])
async def test_an_overlap_has_its_bounds(seconds: int) -> None:
    world, org_id = await hooks()
    made = await world.create(org_id)
    with pytest.raises(InvalidRequest, match="overlap_seconds"):
        await world.rotate(org_id, made.webhook_id, overlap_seconds=seconds)
    assert await world.signing(org_id) == (made.secret,)


async def test_a_test_goes_to_the_one_endpoint_that_asked() -> None:
    world, org_id = await hooks()
    made, _ = await world.create(org_id), await world.create(org_id)
    delivery_id = await SendTest(world.endpoints, world.wake)(org_id, made.webhook_id)
    (sending,) = await world.deliveries.claim(9)
    assert (sending.delivery_id, sending.webhook_id, world.woken) == (delivery_id, made.webhook_id, 1)
    assert msgspec.json.decode(sending.body)["type"] == "auth.webhook.tested"
    with pytest.raises(Conflict, match="pending"):
        await ReplayDelivery(world.endpoints, world.wake)(org_id, made.webhook_id, delivery_id)


async def test_another_organizations_endpoint_is_not_there() -> None:
    world, org_id = await hooks()
    other, _ = await an_owner(world.accounts)
    made = await world.create(org_id)
    for absent in (
        world.update(other.org_id, made.webhook_id, description="x"),
        world.rotate(other.org_id, made.webhook_id),
        DeleteWebhook(world.endpoints)(other.org_id, made.webhook_id),
        SendTest(world.endpoints, world.wake)(other.org_id, made.webhook_id),
        ReplayDelivery(world.endpoints, world.wake)(other.org_id, made.webhook_id, uuid.uuid4()),
    ):
        with pytest.raises(NotFound):
            await absent
    assert (await world.endpoints.one(org_id, made.webhook_id)).is_active
