"""Connecting by consent on the real servers: the sandbox is the platform that asks, and its account is the model's."""

import asyncio
from typing import Any

import aiohttp
import pytest

from libs.common.contracts import models
from libs.common.contracts.auth import Actor
from libs.common.errors import RpcError
from services.edge.domain.consent import Trip
from services.sessions.sandbox.data.account import account_id_of
from services.sessions.sandbox.grants import Grants
from tests.support.consents import Consent, came_back
from tests.support.sandbox import DEMO_EMAIL
from tests.support.sessions import Sessions


@pytest.fixture
def consent(sessions: Sessions) -> Consent:
    return Consent(sessions)


@pytest.fixture
def grants(sessions: Sessions) -> Grants:
    return sessions.sandbox.world.grants


async def refused(call: object) -> str:
    with pytest.raises(RpcError) as error:
        await call  # type: ignore[misc]
    return error.value.code


async def test_R013_R166_a_creator_consents_at_the_platform_and_the_model_is_connected(
    sessions: Sessions, consent: Consent, grants: Grants
) -> None:
    answer = await consent.create()
    assert (answer.model.state, (await consent.show()).step) == ("connecting", "consent")

    shown = await consent.connect()

    assert (shown.step, shown.reason) == ("connected", "")
    model = await sessions.model(answer.model.model_id)
    assert (model.state, model.account) == ("connected", str(account_id_of(DEMO_EMAIL)))
    assert model.session_ends_at is not None
    assert model.refresh_due_at is not None
    assert sessions.sandbox.logins == 0, "nobody signed in with a password here"
    reply, body = await sessions.call(model.model_id, "users_read_me")
    assert (reply.status, body[:1]) == (200, b"{")
    assert grants.counts == {"exchanges": 1}
    assert "sessions.model.connected.v1" in await sessions.events()


async def test_a_browser_comes_back_once_and_only_the_one_that_left(
    sessions: Sessions, consent: Consent, grants: Grants
) -> None:
    await consent.create()
    await consent.start()
    back = await consent.allow()
    foreign = Trip(consent.trip.state, Trip.begin().secret)  # the right state in another browser
    assert await refused(consent.finish(back, trip=foreign)) == "LINK_GONE"
    assert await refused(consent.finish(back, trip=Trip.begin())) == "LINK_GONE"
    assert (await consent.finish(back)).step == "connected"
    assert await refused(consent.finish(back)) == "LINK_GONE"
    assert grants.counts == {"exchanges": 1}, "a replay does not reach the platform: it would end the grant"


async def test_the_newest_start_counts(consent: Consent, grants: Grants) -> None:
    await consent.create()
    await consent.start()
    first, back = consent.trip, await consent.allow()
    await consent.start()
    assert await refused(consent.finish(back, trip=first)) == "LINK_GONE"
    assert (await consent.finish(await consent.allow())).step == "connected"
    assert grants.counts == {"exchanges": 1}


@pytest.mark.parametrize(
    ("error", "reason"), [("access_denied", "consent_denied"), ("server_error", "consent_failed"), ("x" * 90, "consent_failed")]
)  # fmt: skip
async def test_who_does_not_allow_it_can_still_do_so(
    sessions: Sessions, consent: Consent, error: str, reason: str
) -> None:
    model_id = (await consent.create()).model.model_id
    await consent.start()
    shown = await consent.finish({"error": error, "state": consent.trip.state})
    assert (shown.step, shown.reason) == ("consent", reason)
    assert (await sessions.model(model_id)).state == "connecting"
    assert (await consent.connect()).step == "connected"


async def test_the_code_of_another_platform_is_shown_to_nobody(consent: Consent, grants: Grants) -> None:
    await consent.create()
    await consent.start()
    back = await consent.allow()
    shown = await consent.finish(back, issuer="https://evil.example")
    assert (shown.step, shown.reason) == ("consent", "consent_mixed_up")
    assert grants.counts == {}
    assert await refused(consent.finish(back)) == "LINK_GONE", "it was used up by that"


async def test_a_code_that_was_asked_for_elsewhere_opens_nothing(sessions: Sessions, consent: Consent) -> None:
    model_id = (await consent.create()).model.model_id
    other = Consent(sessions)
    await other.create(label="two")
    await other.start()
    await consent.start()
    stolen = {**await other.allow(), "state": consent.trip.state}  # injected: its challenge is not that of this browser
    shown = await consent.finish(stolen)
    assert (shown.step, shown.reason) == ("consent", "consent_refused")
    assert (await sessions.model(model_id)).state == "connect_failed"


async def test_another_account_than_before_is_refused_and_its_grant_given_back(
    sessions: Sessions, consent: Consent, grants: Grants
) -> None:
    model_id = (await consent.create()).model.model_id
    await consent.connect()
    grants.withdraw()
    sessions.sandbox.world.grants.expire()
    with pytest.raises(RpcError):
        await sessions.call(model_id, "users_read_me")
    again = Consent(sessions)
    await sessions.ask(models.ReconnectModel(org_id=sessions.org_id, model_id=model_id, link=again.digest))
    shown = await again.connect("other@sandbox.test")
    assert (shown.step, shown.reason) == ("consent", "another_account")
    assert (grants.living(), grants.counts["revocations"]) == (0, 1)
    assert (await again.connect()).step == "connected"


async def test_an_account_is_one_model_of_an_organization(sessions: Sessions, consent: Consent, grants: Grants) -> None:
    await consent.create()
    await consent.connect()
    second = Consent(sessions)
    await second.create(label="two")
    shown = await second.connect()
    assert (shown.step, shown.reason) == ("consent", "account_connected_already")
    assert grants.living() == 1


async def test_R167_disconnecting_and_deleting_revoke_the_grant_at_the_platform(
    sessions: Sessions, consent: Consent, grants: Grants
) -> None:
    model_id = (await consent.create()).model.model_id
    await consent.connect()
    of_model: dict[str, Any] = {"org_id": sessions.org_id, "model_id": model_id}
    answer = await sessions.ask(models.DisconnectModel(by=Actor(), **of_model))
    assert (answer.model.state, answer.model.reason) == ("disconnected", "by_user")
    assert (grants.living(), grants.counts["revocations"]) == (0, 1)
    row = await sessions.db.fetchrow("SELECT session, pending, credentials FROM vault WHERE model_id = $1", model_id)
    assert row is not None
    assert list(row.values()) == [None, None, None]

    again = Consent(sessions)  # needs a new consent
    answer = await sessions.ask(models.ReconnectModel(link=again.digest, **of_model))
    assert answer.link_expires_at is not None
    assert (await again.connect()).step == "connected"
    await sessions.ask(models.DeleteModel(by=Actor(), **of_model))
    assert (grants.living(), grants.counts["revocations"]) == (0, 2)


async def test_a_platform_that_cannot_be_told_does_not_hold_a_user_who_leaves(
    sessions: Sessions, consent: Consent, grants: Grants
) -> None:
    model_id = (await consent.create()).model.model_id
    await consent.connect()
    sessions.sandbox.fault(route="auth_revoke", status=503, times=1)
    answer = await sessions.ask(models.DisconnectModel(org_id=sessions.org_id, model_id=model_id))
    assert (answer.model.state, answer.model.reason) == ("disconnected", "platform_not_reached")
    assert grants.living() == 1
    deeds = await sessions.db.fetch("SELECT body FROM outbox WHERE type = 'sessions.model.managed.v1' ORDER BY id")
    assert b'"at_platform":"not_reached"' in bytes(deeds[-1]["body"])


async def test_a_code_is_exchanged_by_the_job_when_nobody_waited(sessions: Sessions, consent: Consent) -> None:
    model_id = (await consent.create()).model.model_id
    await consent.start()
    sessions.sandbox.fault(route="auth_token", status=503, times=1)
    shown = await consent.finish(await consent.allow())
    assert shown.step == "working"
    await sessions.relay.flush()
    assert (await sessions.settled(model_id)).state == "connected"


async def test_a_grant_whose_account_stays_unknown_is_given_back(
    sessions: Sessions, consent: Consent, grants: Grants
) -> None:
    model_id = (await consent.create()).model.model_id
    sessions.sandbox.fault(route="users_read_me", status=500)
    shown = await consent.connect()
    assert (shown.step, shown.reason, grants.living()) == ("consent", "account_unknown", 0)
    assert sessions.sandbox.world.calls.by_route["users_read_me"] == 3
    assert (await sessions.model(model_id)).state == "connect_failed"


async def test_nothing_of_a_consent_lies_open_in_the_database(sessions: Sessions, consent: Consent) -> None:
    await consent.create()
    await consent.start()
    back = await consent.allow()
    await consent.finish(back)
    world = sessions.sandbox.world
    tokens = [*world.grants._by_access, *world.grants._by_refresh]
    secrets = [back["code"], consent.trip.state, consent.trip.secret, consent.trip.verifier, *tokens]
    for table in ("models", "vault", "connect_links", "outbox", "inbox"):
        for row in await sessions.db.fetch(f"SELECT t::text AS text FROM {table} t"):
            for secret in secrets:
                assert secret not in row["text"]
                assert secret.encode().hex() not in row["text"]


async def test_a_link_asks_ten_times_and_not_when_it_is_over(sessions: Sessions, consent: Consent) -> None:
    await consent.create()
    for _ in range(10):
        await consent.start()
    assert await refused(consent.start()) == "LINK_GONE"
    await sessions.db.execute("UPDATE connect_links SET expires_at = now()")
    assert await refused(consent.finish(await consent.allow())) == "LINK_GONE"


async def test_only_what_is_asked_for_by_consent_can_be_started(sessions: Sessions, consent: Consent) -> None:
    await consent.create()
    await consent.connect()
    assert await refused(consent.start()) == "LINK_GONE"
    asked = models.CreateModel(org_id=sessions.org_id, provider="session", label="typed", link=Consent(sessions).digest)
    await sessions.ask(asked)
    typed = Consent(sessions, digest=asked.link)
    assert await refused(typed.start()) == "INVALID_REQUEST"


async def test_two_who_come_back_at_once_exchange_once(consent: Consent, grants: Grants) -> None:
    await consent.create()
    await consent.start()
    back = await consent.allow()
    results = await asyncio.gather(*(consent.finish(back) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(result, models.LinkShown) for result in results) == 1
    assert grants.counts == {"exchanges": 1}


async def test_the_page_of_the_platform_says_what_is_asked_and_takes_a_no(consent: Consent) -> None:
    await consent.create()
    url = await consent.start()
    async with aiohttp.ClientSession() as browser, browser.get(url) as page:
        text = await page.text()
    assert "read:chat" in text
    assert (await came_back(f"{url}&prompt=none&login_hint=me@elsewhere.test"))["error"] == "login_required"
