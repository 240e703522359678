"""Calls to the platform through the bus: bytes, faults, expiry, deadlines."""

import asyncio

import pytest

from libs.common.contracts.sessions import NO_MODEL, RefreshModel
from libs.common.errors import RpcError
from libs.common.ids import uuid7
from services.sessions.domain.model import State
from tests.support.sessions import Sessions


async def test_R034_the_answer_is_byte_for_byte_the_platforms(sessions: Sessions) -> None:
    model = await sessions.connect()
    for route, path in (("chats_list", "/chats"), ("earnings_read_overview", "/earnings/overview")):
        reply, body = await sessions.call(model.model_id, route, query="page=1&size=3" if route == "chats_list" else "")
        assert (reply.status, reply.content_type) == (200, "application/json")
        assert body == sessions.sandbox.world.calls.last[path][1]


async def test_a_warm_model_costs_no_round_trip_to_postgres(sessions: Sessions) -> None:
    model = await sessions.connect()
    await sessions.call(model.model_id, "chats_list")
    await sessions.db.close()
    assert (await sessions.call(model.model_id, "chats_list"))[0].status == 200


async def test_a_foreign_unknown_or_non_sandbox_model_is_not_found(sessions: Sessions) -> None:
    model = await sessions.connect()
    await sessions.call(model.model_id, "chats_list")  # warm: the cache must know whose it is
    for org_id, model_id in ((uuid7(), model.model_id), (sessions.org_id, uuid7())):
        with pytest.raises(RpcError) as refused:
            await sessions.call(model_id, "chats_list", org_id=org_id)
        assert refused.value.code == "MODEL_NOT_FOUND"


async def test_an_account_number_reaches_its_model_and_no_other_organization(sessions: Sessions) -> None:
    model = await sessions.connect()
    assert model.account is not None
    reply, _ = await sessions.call(NO_MODEL, "chats_list", account=model.account)
    assert (reply.status, reply.model_id) == (200, model.model_id)
    for org_id, account in ((uuid7(), model.account), (sessions.org_id, "1")):
        with pytest.raises(RpcError) as refused:
            await sessions.call(NO_MODEL, "chats_list", account=account, org_id=org_id)
        assert refused.value.code == "MODEL_NOT_FOUND"


async def test_expiry_under_50_calls_is_exactly_one_login(sessions: Sessions) -> None:
    model = await sessions.connect()
    await sessions.call(model.model_id, "chats_list")
    sessions.sandbox.world.signin.expire()
    answers = await asyncio.gather(*(sessions.call(model.model_id, "chats_list") for _ in range(50)))
    assert {reply.status for reply, _ in answers} == {200}
    assert sessions.sandbox.logins == 2  # one to connect, one to refresh
    assert (await sessions.model(model.model_id)).session_number == 2


async def test_a_fenced_call_that_meets_a_dead_session_is_424_and_not_repeated(sessions: Sessions) -> None:
    model = await sessions.connect()
    sessions.sandbox.world.signin.expire()
    with pytest.raises(RpcError) as refused:
        await sessions.send(model.model_id)
    assert refused.value.code == "SYNC_LOST"
    assert sessions.sandbox.delivered("messages_send") == 0
    assert (await sessions.model(model.model_id)).state is State.CONNECTED, "renewed for the next call"
    assert (await sessions.send(model.model_id))[0].status == 201


async def test_trouble_of_the_platform_during_a_refresh_never_loses_the_model(sessions: Sessions) -> None:
    model = await sessions.connect()
    for fault in ({"status": 500}, {"drop": True}, {"garbage": True}, {"html": True}, {"rate_limit": 5}):
        sessions.sandbox.world.signin.expire()
        sessions.sandbox.fault(route="auth_login", times=1, **fault)
        with pytest.raises(RpcError) as refused:
            await sessions.call(model.model_id, "chats_list")
        assert refused.value.code == "SYNC_LOST"
        assert (await sessions.model(model.model_id)).state is State.CONNECTED
    assert (await sessions.call(model.model_id, "chats_list"))[0].status == 200
    assert "sessions.model.sync_lost.v1" not in await sessions.events()


READ_FAULTS = [
    ({"drop": "before"}, "OF_API_ERROR"),
    ({"drop": "after"}, "OF_API_ERROR"),
    ({"half_body": True}, "OF_API_ERROR"),
    ({"garbage": True}, "OF_API_ERROR"),
    ({"html": True}, "OF_API_ERROR"),
    ({"too_large": True}, "OF_API_ERROR"),
    ({"status": 302}, "OF_API_ERROR"),
    ({"delay_ms": 3_000}, "UPSTREAM_TIMEOUT"),
]


@pytest.mark.parametrize(("fault", "code"), READ_FAULTS, ids=[str(fault) for fault, _ in READ_FAULTS])
async def test_every_fault_of_a_read_has_its_documented_error(
    sessions: Sessions, fault: dict[str, object], code: str
) -> None:
    model = await sessions.connect()
    sessions.sandbox.fault(route="chats_list", **fault)
    with pytest.raises(RpcError) as refused:
        await sessions.call(model.model_id, "chats_list", seconds=1.5)
    assert refused.value.code == code


WRITE_FAULTS = [
    ({"drop": "before"}, "OUTCOME_UNKNOWN", 0),
    ({"drop": "after"}, "OUTCOME_UNKNOWN", 1),
    ({"half_body": True}, "OUTCOME_UNKNOWN", 1),
    ({"garbage": True}, "OF_API_ERROR", 1),
    ({"too_large": True}, "OF_API_ERROR", 1),
    ({"delay_ms": 3_000}, "OUTCOME_UNKNOWN", 1),
]


@pytest.mark.parametrize(("fault", "code", "delivered"), WRITE_FAULTS, ids=[str(row[0]) for row in WRITE_FAULTS])
async def test_every_fault_of_a_write_has_its_documented_error_and_one_effect_at_most(
    sessions: Sessions, fault: dict[str, object], code: str, delivered: int
) -> None:
    model = await sessions.connect()
    sessions.sandbox.fault(route="messages_send", **fault)
    with pytest.raises(RpcError) as refused:
        await sessions.send(model.model_id, seconds=1.5)
    assert refused.value.code == code
    assert sessions.sandbox.delivered("messages_send") == delivered
    assert sessions.sandbox.world.calls.by_route["messages_send"] == 1


@pytest.mark.parametrize("status", [400, 402, 403, 404, 409, 410, 418, 422, 429, 500, 503])
async def test_any_status_is_passed_on_with_its_body(sessions: Sessions, status: int) -> None:
    model = await sessions.connect()
    sessions.sandbox.fault(route="chats_list", status=status, body='{ "odd" :1e400}')
    reply, body = await sessions.call(model.model_id, "chats_list")
    assert (reply.status, body) == (status, b'{ "odd" :1e400}')


async def test_a_rate_limit_carries_its_wait_and_an_error_page_its_status_only(sessions: Sessions) -> None:
    model = await sessions.connect()
    sessions.sandbox.fault(route="chats_list", rate_limit=17, times=1)
    sessions.sandbox.fault(route="chats_list", status=404, body="<html>", times=1)
    reply, _ = await sessions.call(model.model_id, "chats_list")
    assert (reply.status, reply.retry_after_s) == (429, 17)
    reply, body = await sessions.call(model.model_id, "chats_list")
    assert (reply.status, body) == (404, b"")


async def test_one_lost_connection_of_a_read_is_repeated_unseen(sessions: Sessions) -> None:
    model = await sessions.connect()
    sessions.sandbox.fault(route="chats_list", drop=True, times=1)
    assert (await sessions.call(model.model_id, "chats_list"))[0].status == 200
    assert sessions.sandbox.world.calls.by_route["chats_list"] == 2


async def test_no_content_comes_through_as_such(sessions: Sessions) -> None:
    model = await sessions.connect()
    reply, body = await sessions.call(model.model_id, "messages_delete", path_params={"message_id": "1001"})
    assert (reply.status, body) == (204, b"")
    reply, _ = await sessions.call(model.model_id, "messages_delete", path_params={"message_id": "1001"})
    assert reply.status == 404


async def test_a_platform_that_is_down_is_an_upstream_error_also_for_writes(sessions: Sessions) -> None:
    model = await sessions.connect()
    provider = sessions.do.proxy_call.providers["sandbox"]
    provider._url = "http://127.0.0.1:1"  # type: ignore[attr-defined]
    for route in ("chats_list", "messages_send"):
        with pytest.raises(RpcError) as refused:
            await sessions.call(model.model_id, route)
        assert refused.value.code == "OF_API_ERROR", "no byte left, so the outcome is known"


async def test_a_refresh_takes_turns_with_the_job_of_another_delivery(sessions: Sessions) -> None:
    model = await sessions.connect()
    job = RefreshModel(org_id=sessions.org_id, model_id=model.model_id)
    await asyncio.gather(*(sessions.do.refresh_model(job) for _ in range(5)))
    assert (await sessions.model(model.model_id)).state is State.CONNECTED
