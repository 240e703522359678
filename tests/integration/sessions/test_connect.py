"""Connecting a model: credentials, two-factor codes, refusals, reconnecting, disconnecting; and what is told of it."""

import pytest

from libs.common.contracts.auth import Actor
from libs.common.contracts.sessions import RefreshModel
from libs.common.errors import RpcError
from services.sessions.domain.model import State
from services.sessions.sandbox.data.account import account_id_of
from tests.support.sandbox import DEMO_EMAIL
from tests.support.sessions import Sessions


async def test_R014_a_model_is_connected_with_email_and_password(sessions: Sessions) -> None:
    model = await sessions.connect()
    assert (model.state, model.account) == (State.CONNECTED, str(account_id_of(DEMO_EMAIL)))
    assert model.session_ends_at is not None
    assert model.refresh_due_at is not None
    assert model.refresh_due_at < model.session_ends_at
    assert await sessions.events() == ["sessions.model.connected.v1"]
    reply, body = await sessions.call(model.model_id, "users_read_me")
    assert reply.status == 200
    assert body == sessions.sandbox.world.calls.last["/users/me"][1]


async def test_wrong_credentials_end_in_connect_failed_and_can_be_corrected(sessions: Sessions) -> None:
    model = await sessions.connect(password="wrong")
    assert (model.state, model.reason) == (State.CONNECT_FAILED, "credentials_refused")
    with pytest.raises(RpcError) as refused:
        await sessions.call(model.model_id, "chats_list")
    assert (refused.value.code, refused.value.fields["state"]) == ("MODEL_NOT_CONNECTED", "connect_failed")
    again = await sessions.connect()
    assert (again.model_id, again.state) == (model.model_id, State.CONNECTED)


async def test_a_two_factor_code_may_come_with_the_password_or_after(sessions: Sessions) -> None:
    email = "two-factor@sandbox.test"
    waiting = await sessions.connect(email=email)
    assert waiting.state is State.AWAITING_2FA
    assert await sessions.events() == ["sessions.model.awaiting_2fa.v1"]
    connected = await sessions.connect(email=email, code="123456")
    assert (connected.model_id, connected.state) == (waiting.model_id, State.CONNECTED)
    at_once = await sessions.connect(email="two-factor-b@sandbox.test", code="123456", label="two")
    assert at_once.state is State.CONNECTED
    wrong = await sessions.connect(email="two-factor-c@sandbox.test", code="000000", label="three")
    assert (wrong.state, wrong.reason) == (State.CONNECT_FAILED, "code_refused")


async def test_trouble_of_the_platform_is_tried_again_and_is_no_refusal(sessions: Sessions) -> None:
    sessions.sandbox.fault(route="auth_login", status=503, times=2)  # two quick tries in place come before the ladder
    model = await sessions.connect()
    assert model.state is State.CONNECTED
    assert sessions.sandbox.logins == 3


async def test_one_account_is_one_model_of_an_organization(sessions: Sessions) -> None:
    first = await sessions.connect()
    second = await sessions.connect(label="the same again")
    assert (second.state, second.reason) == (State.CONNECT_FAILED, "account_connected_already")
    await sessions.do.disconnect_model(sessions.org_id, first.model_id, by=Actor())
    assert (await sessions.connect(label="the same again")).state is State.CONNECTED


async def test_disconnecting_wipes_the_vault_and_signs_out(sessions: Sessions) -> None:
    model = await sessions.connect()
    await sessions.call(model.model_id, "users_read_me")
    gone = await sessions.do.disconnect_model(sessions.org_id, model.model_id, by=Actor())
    assert gone.state is State.DISCONNECTED
    row = await sessions.db.fetchrow("SELECT credentials, session, pending FROM vault")
    assert row is not None
    assert list(row) == [None, None, None]
    assert sessions.sandbox.world.signin.expire() == 0
    with pytest.raises(RpcError) as refused:
        await sessions.call(model.model_id, "users_read_me")
    assert refused.value.code == "MODEL_NOT_CONNECTED"


async def test_no_secret_is_in_the_clear_in_the_database_or_on_the_bus(sessions: Sessions) -> None:
    await sessions.connect(email="secret-local-part@sandbox.test")
    dump = ""
    for table in ("models", "vault", "outbox", "upstream_calls"):
        dump += str([tuple(row) for row in await sessions.db.fetch(f"SELECT * FROM {table}")])
    assert "sandbox-demo-password" not in dump
    assert "secret-local-part" not in dump
    assert "sandbox_session" not in dump


async def test_sessions_that_are_due_are_renewed_ahead(sessions: Sessions) -> None:
    sessions.sandbox.world.signin.session_seconds = 3_600
    model = await sessions.connect()
    assert await sessions.on.sweepings.enqueue_due_refreshes() == 0
    await sessions.db.execute("UPDATE models SET refresh_due_at = now()")
    assert await sessions.on.sweepings.enqueue_due_refreshes() == 1
    assert await sessions.on.sweepings.enqueue_due_refreshes() == 0, "claimed by the first look"
    await sessions.do.refresh_model(RefreshModel(org_id=sessions.org_id, model_id=model.model_id))
    renewed = await sessions.model(model.model_id)
    assert (renewed.state, renewed.session_number) == (State.CONNECTED, 2)
    assert sessions.sandbox.logins == 1, "a living session is renewed without the password"


async def test_R016_a_lost_model_is_reconnected_with_what_the_vault_holds(sessions: Sessions) -> None:
    model = await sessions.connect()
    sessions.sandbox.fault(route="auth_login", status=401, times=1)
    sessions.sandbox.world.signin.expire()
    with pytest.raises(RpcError) as lost:
        await sessions.call(model.model_id, "chats_list")
    assert lost.value.code == "SYNC_LOST"
    assert (await sessions.model(model.model_id)).state is State.SYNC_LOST
    await sessions.do.refresh_model(RefreshModel(org_id=sessions.org_id, model_id=model.model_id))
    assert (await sessions.model(model.model_id)).state is State.CONNECTED
    assert (await sessions.events())[-2:] == ["sessions.model.sync_lost.v1", "sessions.model.reconnected.v1"]
    assert (await sessions.call(model.model_id, "chats_list"))[0].status == 200


async def test_a_model_that_does_not_move_gets_a_new_job(sessions: Sessions) -> None:
    model = await sessions.connect()
    await sessions.db.execute(
        "UPDATE models SET state = 'refreshing', updated_at = now() - interval '11 minutes', version = version + 1"
    )
    assert await sessions.on.sweepings.nudge_stuck() == 1
    assert await sessions.on.sweepings.nudge_stuck() == 0
    await sessions.relay.flush()
    assert (await sessions.settled(model.model_id)).state is State.CONNECTED
