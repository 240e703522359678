"""A grant with single-use refresh tokens, on the real servers: renewed once whoever asks, and never lost without a word."""

import asyncio
import contextlib
import signal
import time
from typing import Any

import pytest

from libs.common.bus import Bus
from libs.common.contracts import models
from libs.common.contracts.catalogue import CatalogueRoute, catalogue
from libs.common.contracts.sessions import Proxied, Proxy, RefreshModel
from libs.common.errors import RpcError
from libs.common.ids import uuid7
from services.sessions.domain.credentials import Session
from services.sessions.domain.model import Model
from services.sessions.domain.pace import Rate
from services.sessions.sandbox.grants import Grants
from services.sessions.usecases.refresh_session import Why
from tests.support.consents import Consent
from tests.support.sandbox import Sandbox
from tests.support.servers import TestBroker, TestDatabase
from tests.support.service_process import running_service
from tests.support.sessions import Sessions, running_sessions
from tests.support.sessions_process import environment

FANVUE_ROUTES = [route for route in catalogue().values() if route.fanvue_upstream]
OTHER_ROUTES = [route for route in catalogue().values() if not route.fanvue_upstream]
PARAMETERS = {"part": "1", "upload_id": "upload-1"}


@pytest.fixture
def grants(sandbox: Sandbox) -> Grants:
    return sandbox.world.grants


async def connected(sessions: Sessions, *, label: str = "one") -> Model:
    consent = Consent(sessions)
    answer = await consent.create(label=label)
    assert (await consent.connect()).step == "connected"
    return await sessions.model(answer.model.model_id)


async def refused(call: Any) -> str:
    with pytest.raises(RpcError) as error:
        await call
    return error.value.code


async def held_session(sessions: Sessions, model: Model) -> Session | None:
    """What the vault holds."""
    async with sessions.on.models.exclusive(model.org_id, model.model_id) as held:
        contents = await held.load()
    assert contents is not None
    return contents.session


async def test_a_storm_of_fifty_calls_on_an_expired_token_renews_once(
    database: TestDatabase, broker: TestBroker, sandbox: Sandbox, grants: Grants
) -> None:
    async with (
        running_sessions(database, broker, sandbox) as sessions,
        running_sessions(database, broker, sandbox),  # another process' worth on the same queues
    ):
        model = await connected(sessions)
        grants.expire()
        answers = await asyncio.gather(*(sessions.call(model.model_id, "chats_list") for _ in range(50)))
        assert {reply.status for reply, _ in answers} == {200}
        assert grants.counts == {"exchanges": 1, "renewals": 1}
        assert (await sessions.model(model.model_id)).session_number == 2


async def test_tokens_are_renewed_ahead_and_the_new_refresh_token_is_the_one_that_is_kept(
    sessions: Sessions, grants: Grants
) -> None:
    model = await connected(sessions)
    for number in (2, 3, 4):
        before = await held_session(sessions, model)
        await sessions.db.execute("UPDATE models SET refresh_due_at = now() - interval '1 second'")
        assert await sessions.on.sweepings.enqueue_due_refreshes() == 1
        await sessions.relay.flush()
        await sessions.until(lambda now, number=number: now.session_number == number, model.model_id)  # type: ignore[misc]
        after = await held_session(sessions, model)
        assert before is not None
        assert after is not None
        assert (before.account, before.refresh_token != after.refresh_token) == (after.account, True)
    assert grants.counts == {"exchanges": 1, "renewals": 3}
    assert (await sessions.call(model.model_id, "chats_list"))[0].status == 200
    assert "sessions.model.sync_lost.v1" not in await sessions.events()


async def test_an_answer_that_is_lost_after_it_took_effect_ends_in_sync_lost_and_a_new_consent_heals(
    sessions: Sessions, sandbox: Sandbox, grants: Grants
) -> None:
    model = await connected(sessions)
    grants.expire()
    sandbox.fault(route="auth_token", drop="after", times=1)
    assert await refused(sessions.call(model.model_id, "chats_list")) == "SYNC_LOST"
    # The platform rotated the token, and nobody heard: by all we know it had trouble.
    now = await sessions.model(model.model_id)
    assert (now.state, now.reason, grants.counts["renewals"]) == ("connected", "platform_unavailable", 1)

    # The next renewal shows the old token a second time, and the platform ends the grant.
    assert await refused(sessions.call(model.model_id, "chats_list")) == "SYNC_LOST"
    now = await sessions.model(model.model_id)
    assert (now.state, now.reason) == ("sync_lost", "renewal_interrupted")
    assert (grants.counts["reuses"], grants.living()) == (1, 0)
    row = await sessions.db.fetchrow("SELECT body FROM outbox WHERE type = 'sessions.model.sync_lost.v1'")
    assert row is not None
    assert b'"reason":"renewal_interrupted"' in bytes(row["body"])
    assert await refused(sessions.call(model.model_id, "chats_list")) == "SYNC_LOST"

    # Reconnecting asks with what the vault holds, once, and then for a new consent.
    again = Consent(sessions)
    reconnect = models.ReconnectModel(org_id=sessions.org_id, model_id=model.model_id, link=again.digest)
    tries = sandbox.world.calls.auth["auth_token"]
    for _ in range(3):
        answer = await sessions.ask(reconnect)
        assert (answer.model.state, answer.model.reason) == ("sync_lost", "renewal_interrupted")
        assert answer.link_expires_at is not None
    assert sandbox.world.calls.auth["auth_token"] == tries + 1
    assert (await again.show()).reason == "renewal_interrupted"
    assert (await again.connect()).step == "connected"
    assert (await sessions.call(model.model_id, "chats_list"))[0].status == 200
    assert "sessions.model.reconnected.v1" in await sessions.events()


async def test_a_worker_killed_between_the_platforms_answer_and_our_commit_loses_the_grant_aloud(
    database: TestDatabase, broker: TestBroker, sandbox: Sandbox, grants: Grants
) -> None:
    async with running_sessions(database, broker, sandbox) as sessions:
        model = await connected(sessions)
    grants.expire()
    env = environment(database, broker, sandbox)
    edge = await Bus.connect(broker.url("edge"), service="edge")

    async def call(seconds: float) -> tuple[Any, bytes]:
        proxy = Proxy(call_id=uuid7(), org_id=model.org_id, model_id=model.model_id, route="chats_list")
        return await edge.call(proxy, org_id=model.org_id, deadline_ms=int(1000 * (time.time() + seconds)))

    try:
        async with running_service("sessions", env) as first:
            sandbox.fault(route="auth_token", delay_ms=20_000, times=1)  # the answer is held back after it took effect
            waiting = asyncio.create_task(call(25))
            async with asyncio.timeout(10):
                while not grants.counts["renewals"]:
                    await asyncio.sleep(0.02)
            assert await first.end(signal.SIGKILL) == -signal.SIGKILL
        async with running_sessions(database, broker, sandbox) as sessions:  # the call is delivered again
            with pytest.raises(RpcError) as lost:
                await waiting
            assert lost.value.code == "SYNC_LOST"
            row = await sessions.db.fetchrow("SELECT state, reason FROM models")
            assert row is not None
            assert (row["state"], row["reason"]) == ("sync_lost", "renewal_interrupted")
            assert "sessions.model.sync_lost.v1" in await sessions.events()
    finally:
        await edge.close()
    assert (grants.counts["renewals"], grants.counts["reuses"], grants.living()) == (1, 1, 0)


async def test_a_database_that_goes_away_between_the_platforms_answer_and_our_commit_costs_nothing(
    sessions: Sessions, sandbox: Sandbox, grants: Grants
) -> None:
    model = await connected(sessions)
    grants.expire()
    sandbox.fault(route="auth_token", delay_ms=1_500, times=1)
    waiting = asyncio.create_task(sessions.call(model.model_id, "chats_list"))
    async with asyncio.timeout(10):
        while not grants.counts["renewals"]:
            await asyncio.sleep(0.02)
    ended = await sessions.db.fetch("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
    assert len(ended) == 1
    assert (await waiting)[0].status == 200
    kept = await held_session(sessions, model)
    assert kept is not None
    renewed = await sessions.do.refresh_session(model.org_id, model.model_id, stale=99, why=Why.ASKED)
    assert renewed.session != kept
    assert grants.counts == {"exchanges": 1, "renewals": 2}, "the token that was kept is the one that works"


async def test_a_consent_that_was_withdrawn_at_the_platform_is_said_so(sessions: Sessions, grants: Grants) -> None:
    model = await connected(sessions)
    grants.withdraw()
    assert await refused(sessions.call(model.model_id, "chats_list")) == "SYNC_LOST"
    now = await sessions.model(model.model_id)
    assert (now.state, now.reason) == ("sync_lost", "grant_refused")


async def test_R016_a_lost_grant_that_the_platform_takes_again_needs_no_consent(
    sessions: Sessions, sandbox: Sandbox, grants: Grants
) -> None:
    model = await connected(sessions)
    grants.expire()
    sandbox.fault(route="auth_token", status=400, body='{"error":"invalid_grant"}', times=1)
    assert await refused(sessions.call(model.model_id, "chats_list")) == "SYNC_LOST"
    reconnect = models.ReconnectModel(org_id=sessions.org_id, model_id=model.model_id, link=Consent(sessions).digest)
    answer = await sessions.ask(reconnect)
    assert (answer.model.state, answer.link_expires_at) == ("connected", None)
    assert grants.counts == {"exchanges": 1, "renewals": 1}


async def test_trouble_of_the_platform_ends_no_grant(sessions: Sessions, sandbox: Sandbox, grants: Grants) -> None:
    model = await connected(sessions)
    grants.expire()
    for fault in ({"status": 503}, {"drop": "before"}, {"rate_limit": 30}):
        sandbox.fault(route="auth_token", times=1, **fault)
        assert await refused(sessions.call(model.model_id, "chats_list")) == "SYNC_LOST"
        assert (await sessions.model(model.model_id)).state == "connected"
    assert (await sessions.call(model.model_id, "chats_list"))[0].status == 200
    assert grants.counts == {"exchanges": 1, "renewals": 1}


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 422])
async def test_R185_what_the_platform_refuses_is_not_asked_again(
    sessions: Sessions, sandbox: Sandbox, grants: Grants, status: int
) -> None:
    model = await connected(sessions)
    sandbox.fault(route="chats_list", status=status)
    calls, tokens = sandbox.world.calls.by_route, sandbox.world.calls.auth["auth_token"]
    if status == 401:  # the one cure there is: a refresh, and one more try
        assert await refused(sessions.call(model.model_id, "chats_list")) == "SYNC_LOST"
        assert (calls["chats_list"], sandbox.world.calls.auth["auth_token"] - tokens) == (2, 1)
    else:
        assert (await sessions.call(model.model_id, "chats_list"))[0].status == status
        assert (calls["chats_list"], sandbox.world.calls.auth["auth_token"] - tokens) == (1, 0)
    assert grants.counts["reuses"] == 0


async def test_R185_a_platform_that_refuses_this_gateway_is_left_alone_and_no_model_is_lost(
    sessions: Sessions, sandbox: Sandbox, grants: Grants
) -> None:
    model = await connected(sessions)
    grants.expire()
    client, grants.client = grants.client, type(grants.client)()  # as if our secret had been changed there
    tokens = sandbox.world.calls.auth["auth_token"]
    for _ in range(3):
        assert await refused(sessions.call(model.model_id, "chats_list")) == "SYNC_LOST"
    assert sandbox.world.calls.auth["auth_token"] == tokens + 1
    assert (await sessions.model(model.model_id)).state == "connected"
    grants.client = client


async def test_a_write_on_a_dead_token_is_not_sent_twice(sessions: Sessions, sandbox: Sandbox, grants: Grants) -> None:
    model = await connected(sessions)
    grants.expire()
    assert await refused(sessions.send(model.model_id)) == "SYNC_LOST"
    assert sandbox.delivered("messages_send") == 0
    assert (await sessions.send(model.model_id))[0].status == 201
    assert sandbox.delivered("messages_send") == 1


async def test_every_route_of_the_platform_is_called_through_a_model_and_no_other(
    sessions: Sessions, sandbox: Sandbox
) -> None:
    model = await connected(sessions)
    table: dict[str, int | str] = {}
    for route in FANVUE_ROUTES:
        reply, _ = await _called(sessions, model, route)
        table[route.name] = reply.status
    assert {status for status in table.values() if not 200 <= int(status) < 300} == set(), table
    assert sandbox.world.calls.by_route_2xx == {
        route.name: 1 + (route.name == "users_read_me") for route in FANVUE_ROUTES
    }
    assert len(table) == 46
    for route in OTHER_ROUTES:
        assert await refused(_called(sessions, model, route)) == "ROUTE_NOT_SUPPORTED"


async def _called(sessions: Sessions, model: Model, route: CatalogueRoute) -> tuple[Proxied, bytes]:
    params = {name: PARAMETERS.get(name, "1001") for name in route.path_params if name != "model_id"}
    body = b"" if route.method in {"GET", "DELETE"} else b'{"text":"hello","name":"a name"}'
    return await sessions.call(model.model_id, route.name, path_params=params, body=body)


async def test_what_the_platform_allows_is_learnt_and_kept(
    database: TestDatabase, broker: TestBroker, sandbox: Sandbox
) -> None:
    paces = {"fanvue": Rate(per_minute=6_000, burst=100)}
    async with running_sessions(database, broker, sandbox, paces=paces) as sessions:
        model = await connected(sessions)
        sandbox.world.bearers.limit = 4  # one call of the four was made to learn whose account it is
        for _ in range(3):
            assert (await sessions.call(model.model_id, "chats_list"))[0].status == 200
        # The last answer said that nothing is left: the next call does not reach the platform.
        with pytest.raises(RpcError) as paced:
            await sessions.call(model.model_id, "chats_list", seconds=2.5)
        assert (paced.value.code, paced.value.fields["retry_after_s"] >= 1) == ("UNAVAILABLE", True)
        assert sandbox.world.calls.by_route["chats_list"] == 3


async def test_a_refresh_that_comes_twice_renews_once(sessions: Sessions, grants: Grants) -> None:
    model = await connected(sessions)
    job = RefreshModel(org_id=model.org_id, model_id=model.model_id, session_number=model.session_number)
    with contextlib.suppress(RpcError):
        await asyncio.gather(*(sessions.do.refresh_model(job) for _ in range(5)))
    assert grants.counts == {"exchanges": 1, "renewals": 1}
