"""Where webhooks never go: addresses that are not public, however they are written or named, when an endpoint is saved and when
something is sent. A listener on this machine would notice.
"""

import ipaddress
import uuid
from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime

import pytest

from libs.common.contracts.sessions import ModelSyncLost
from libs.common.db.pool import Database
from libs.common.http.addresses import Address
from libs.common.ids import uuid7
from services.auth.domain.errors import InvalidRequest
from services.auth.domain.webhook import Endpoint
from services.auth.store.postgres import PostgresAccounts
from services.auth.usecases.update_webhook import WebhookEdit
from tests.integration.libs.test_guarded import PROBES
from tests.support.auth import StandingClock, an_organization
from tests.support.webhooks import Receiver, Webhooks, a_receiver, webhooks_on

PUBLIC = ipaddress.ip_address("93.184.216.34")


class Names:
    """What names lead to, one answer after the other, the last for ever."""

    def __init__(self, *answers: Collection[str]) -> None:
        self.answers = list(answers)

    async def __call__(self, _host: str) -> list[Address]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [ipaddress.ip_address(text) for text in answer]


@pytest.fixture
async def listener() -> AsyncIterator[Receiver]:
    """Where nothing may ever come."""
    async with a_receiver() as made:
        yield made


@pytest.fixture
async def names() -> Names:
    return Names([str(PUBLIC)])


@pytest.fixture
async def hooks(db: Database, names: Names) -> AsyncIterator[Webhooks]:
    """No address of this machine is allowed; otherwise as in development, so that http and ports get as far as the guard."""
    async with webhooks_on(db, StandingClock(datetime.now(UTC)), resolve=names) as made:
        yield made


@pytest.fixture
async def org_id(accounts: PostgresAccounts) -> uuid.UUID:
    return (await an_organization(accounts)).org_id


@pytest.mark.parametrize("is_strict", [True, False], ids=["production", "development"])
async def test_no_spelling_of_an_inner_address_is_saved(
    db: Database, accounts: PostgresAccounts, listener: Receiver, *, is_strict: bool
) -> None:
    org_id = (await an_organization(accounts)).org_id
    async with webhooks_on(db, StandingClock(datetime.now(UTC)), is_strict=is_strict) as hooks:
        for host in PROBES:
            for url in (f"https://{host}/", f"http://{host}:{listener.port}/", f"https://{host}:{listener.port}/"):
                with pytest.raises(InvalidRequest):
                    await hooks.endpoint(org_id, url)
        assert await hooks.do.endpoints.all(org_id) == []
    assert listener.got == []


@pytest.mark.parametrize("host", [*PROBES, "rebound.example"])
async def test_nothing_is_sent_inside_even_to_an_endpoint_that_was_saved(
    hooks: Webhooks, names: Names, org_id: uuid.UUID, listener: Receiver, db: Database, owner: Database, host: str
) -> None:
    # given an endpoint whose row says what no check let through: as if the check had a hole, or the name another answer now
    webhook_id, _ = await hooks.endpoint(org_id, "http://hooks.example/")
    where = "127.0.0.1" if host == "rebound.example" else host
    await owner.execute(
        "UPDATE auth.webhook_endpoints SET url = $2 WHERE webhook_id = $1",
        webhook_id,
        f"http://{where}:{listener.port}/",
    )
    # when something is to be sent
    await hooks.say(ModelSyncLost(org_id=org_id, model_id=uuid.uuid4(), version=1))
    assert await hooks.send_due() == 1
    # then nobody heard anything, and the log says why
    assert listener.got == []
    (delivery,) = await hooks.do.deliveries.page(org_id, webhook_id, limit=5, before=None, state="pending")
    assert delivery.attempts[0].status is None
    assert delivery.attempts[0].error.startswith("FetchRefused"), delivery.attempts[0].error


async def test_a_name_that_leads_inside_is_refused_when_it_is_saved(
    hooks: Webhooks, names: Names, org_id: uuid.UUID
) -> None:
    for answer in (["10.0.0.7"], [str(PUBLIC), "169.254.169.254"], ["::ffff:127.0.0.1"], []):
        names.answers = [answer]
        with pytest.raises(InvalidRequest):
            await hooks.endpoint(org_id, "https://hooks.example/")
    # a change of the URL is a new place
    names.answers = [[str(PUBLIC)], ["10.0.0.7"]]
    webhook_id, _ = await hooks.endpoint(org_id, "https://hooks.example/")
    with pytest.raises(InvalidRequest):
        await hooks.do.update(org_id, webhook_id, WebhookEdit(url="https://inside.example/"))
    assert (await hooks.one(org_id, webhook_id)).url == "https://hooks.example/"


async def test_a_refusal_names_no_inner_address(hooks: Webhooks, names: Names, org_id: uuid.UUID) -> None:
    names.answers = [["10.9.8.7"]]
    with pytest.raises(InvalidRequest) as caught:
        await hooks.endpoint(org_id, "https://hooks.example/")
    assert "10.9.8.7" not in str(caught.value)


class Apps:
    """Apps, domains and grants, as the tables of apps have them."""

    def __init__(self, owner: Database, accounts: PostgresAccounts) -> None:
        self.owner = owner
        self.accounts = accounts

    async def user_of(self, org_id: uuid.UUID) -> uuid.UUID:
        found: uuid.UUID = await self.owner.fetchval("SELECT user_id FROM auth.users WHERE org_id = $1 LIMIT 1", org_id)
        return found

    async def app(self, org_id: uuid.UUID, *domains: str) -> uuid.UUID:
        app_id = uuid7()
        await self.owner.execute(
            """INSERT INTO auth.apps (app_id, org_id, user_id, name, is_confidential, redirect_uris, created_at)
               VALUES ($1, $2, $3, 'App', true, '{https://e.com/}', now())""",
            app_id, org_id, await self.user_of(org_id),
        )  # fmt: skip
        for domain in domains:
            await self.owner.execute(
                """INSERT INTO auth.app_domains (app_id, org_id, domain, token, method, created_at, verified_at)
                   VALUES ($1, $2, $3, 't', 'dns', now(), now())""",
                app_id, org_id, domain,
            )  # fmt: skip
        return app_id

    async def grant(self, app_id: uuid.UUID, org_id: uuid.UUID, model_id: uuid.UUID) -> uuid.UUID:
        grant_id = uuid7()
        await self.owner.execute(
            """INSERT INTO auth.grants (grant_id, app_id, org_id, user_id, model_id, scopes, created_at)
               VALUES ($1, $2, $3, $4, $5, '{read:chat}', now())""",
            grant_id, app_id, org_id, await self.user_of(org_id), model_id,
        )  # fmt: skip
        return grant_id

    async def revoke(self, grant_id: uuid.UUID) -> None:
        await self.owner.execute("UPDATE auth.grants SET revoked_at = now() WHERE grant_id = $1", grant_id)


@pytest.fixture
def apps(owner: Database, accounts: PostgresAccounts) -> Apps:
    return Apps(owner, accounts)


async def a_local_app_endpoint(
    hooks: Webhooks, apps: Apps, app_id: uuid.UUID, org_id: uuid.UUID, receiver: Receiver
) -> uuid.UUID:
    """An app's endpoint on its verified domain, which then turns out to be this machine."""
    webhook_id, _ = await hooks.endpoint(org_id, "https://hooks.app.example/", app_id=app_id)
    await apps.owner.execute(
        "UPDATE auth.webhook_endpoints SET url = $2 WHERE webhook_id = $1", webhook_id, receiver.url
    )
    return webhook_id


async def test_an_app_lies_under_its_verified_domain(
    hooks: Webhooks, apps: Apps, org_id: uuid.UUID, accounts: PostgresAccounts
) -> None:
    app_id = await apps.app(org_id, "app.example")
    for url in ("https://app.example/", "https://hooks.app.example/x"):
        webhook_id, _ = await hooks.endpoint(org_id, url, app_id=app_id)
    for url in ("https://evil.example/", "https://notapp.example/"):
        with pytest.raises(InvalidRequest, match="verified domain"):
            await hooks.endpoint(org_id, url, app_id=app_id)
        with pytest.raises(InvalidRequest, match="verified domain"):
            await hooks.do.update(org_id, webhook_id, WebhookEdit(url=url))
    unproved = await apps.app(org_id)
    with pytest.raises(InvalidRequest, match="verified domain"):
        await hooks.endpoint(org_id, "https://app.example/", app_id=unproved)
    foreign = (await an_organization(accounts)).org_id
    with pytest.raises(Exception, match="App not found"):
        await hooks.endpoint(foreign, "https://app.example/", app_id=app_id)


async def test_an_app_hears_of_the_models_it_was_granted_and_of_nothing_else(
    db: Database, apps: Apps, accounts: PostgresAccounts, org_id: uuid.UUID, listener: Receiver
) -> None:
    # given an app of one organization, and a user of another who grants it one of two models
    user_org = (await an_organization(accounts)).org_id
    granted, other = uuid.uuid4(), uuid.uuid4()
    names = Names([str(PUBLIC)])
    async with webhooks_on(db, StandingClock(datetime.now(UTC)), listener, resolve=names) as hooks:
        app_id = await apps.app(org_id, "app.example")
        webhook_id = await a_local_app_endpoint(hooks, apps, app_id, org_id, listener)
        grant_id = await apps.grant(app_id, user_org, granted)

        async def lost(of: uuid.UUID, model_id: uuid.UUID, version: int) -> None:
            await hooks.say(ModelSyncLost(org_id=of, model_id=model_id, version=version))
            await hooks.send_due()

        # when things happen in both organizations
        await lost(user_org, granted, 1)
        await lost(user_org, other, 1)
        await lost(org_id, granted, 1)  # another organization's model of the same id: not what was granted
        await lost(org_id, uuid.uuid4(), 1)
        # then it heard of the one model only
        assert [(got.json["data"]["model_id"], got.json["data"]["org_id"]) for got in listener.got] == [
            (str(granted), str(user_org))
        ]
        # what waits when the grant ends is not sent, nor is what comes later
        listener.status = 500
        await lost(user_org, granted, 2)
        await apps.revoke(grant_id)
        listener.status = 200
        hooks.clock.pass_time(minutes=1)
        await hooks.send_due()
        await lost(user_org, granted, 3)
        assert len(listener.got) == 2
        assert await hooks.states(org_id, webhook_id) == ["delivered", "cancelled"]


async def test_an_app_that_is_gone_or_suspended_hears_nothing(
    db: Database, apps: Apps, accounts: PostgresAccounts, org_id: uuid.UUID, listener: Receiver
) -> None:
    user_org, model_id = (await an_organization(accounts)).org_id, uuid.uuid4()
    async with webhooks_on(db, StandingClock(datetime.now(UTC)), listener, resolve=Names([str(PUBLIC)])) as hooks:
        app_id = await apps.app(org_id, "app.example")
        await a_local_app_endpoint(hooks, apps, app_id, org_id, listener)
        await apps.grant(app_id, user_org, model_id)
        await hooks.say(ModelSyncLost(org_id=user_org, model_id=model_id, version=1))
        for state in ("suspended", "deleted"):
            await apps.owner.execute("UPDATE auth.apps SET state = $2 WHERE app_id = $1", app_id, state)
            await hooks.say(ModelSyncLost(org_id=user_org, model_id=model_id, version=2))
            assert await hooks.send_due() == 0
        assert listener.got == []


def test_an_endpoint_shows_no_secret() -> None:
    now = datetime.now(UTC)
    shown = repr(Endpoint(webhook_id=uuid7(), org_id=uuid7(), url="https://e.com/", created_at=now, updated_at=now))
    assert "whsec" not in shown
