"""The commands about models, on the real servers."""

import uuid
from typing import Any

import msgspec
import pytest

from libs.common.contracts import models
from libs.common.contracts.auth import Actor
from libs.common.contracts.sessions import ModelManaged
from libs.common.errors import RpcError
from libs.common.ids import uuid7
from services.sessions.domain.pace import Rate
from services.sessions.sandbox.signin import PASSWORD
from tests.support.sandbox import Sandbox
from tests.support.servers import TestBroker, TestDatabase
from tests.support.sessions import Sessions, running_sessions

LINK = bytes(range(32))


async def refused(call: Any) -> str:
    with pytest.raises(RpcError) as error:
        await call
    return error.value.code


async def create(sessions: Sessions, label: str = "one", **more: Any) -> models.ModelAnswer:
    fields: dict[str, Any] = {
        "org_id": sessions.org_id,
        "provider": "sandbox",
        "label": label,
        "link": uuid7().bytes * 2,
    }
    answer: models.ModelAnswer = await sessions.ask(models.CreateModel(**(fields | more)))
    return answer


async def test_a_sandbox_model_is_connected_at_once_and_is_an_account_of_its_own(sessions: Sessions) -> None:
    one, two = await create(sessions), await create(sessions, "two")
    assert (one.model.state, one.link_expires_at) == ("connected", None)
    assert one.model.account != two.model.account
    reply, _ = await sessions.call(one.model.model_id, "chats_list")
    assert reply.status == 200


async def test_R017_lists_go_on_where_they_stopped_newest_first(sessions: Sessions) -> None:
    made = [(await create(sessions, f"model {n}", wants_link=True)).model.model_id for n in range(5)]
    seen: list[uuid.UUID] = []
    after = None
    while True:
        page = await sessions.ask(models.ListModels(org_id=sessions.org_id, limit=2, after=after))
        assert len(page.models) <= 2
        seen += [model.model_id for model in page.models]
        if (after := page.next_after) is None:
            break
    assert seen == made[::-1]
    assert (await sessions.ask(models.ListModels(org_id=uuid7()))).models == ()


@pytest.mark.parametrize(
    "kind", [models.GetModel, models.DeleteModel, models.DisconnectModel, models.ReconnectModel, models.UpdateModel,
             models.SubmitCode]
)  # fmt: skip
async def test_another_organizations_model_is_absent(sessions: Sessions, kind: Any) -> None:
    model_id = (await create(sessions)).model.model_id
    more: dict[Any, dict[str, Any]] = {
        models.ReconnectModel: {"link": LINK},
        models.UpdateModel: {"label": "x"},
        models.SubmitCode: {"sealed": b"x"},
    }
    for org_id, of in ((uuid7(), model_id), (sessions.org_id, uuid7())):
        assert await refused(sessions.ask(kind(org_id=org_id, model_id=of, **more.get(kind, {})))) == "MODEL_NOT_FOUND"


async def test_to_a_sandbox_key_all_other_models_are_absent(sessions: Sessions) -> None:
    real = (await create(sessions, "real", provider="session")).model.model_id
    mine = (await create(sessions, "mine", sandbox_only=True)).model.model_id
    of_real: dict[str, Any] = {"org_id": sessions.org_id, "model_id": real, "sandbox_only": True}
    listed = await sessions.ask(models.ListModels(org_id=sessions.org_id, sandbox_only=True))
    assert [model.model_id for model in listed.models] == [mine]
    assert await refused(sessions.ask(models.GetModel(**of_real))) == "MODEL_NOT_FOUND"
    assert await refused(sessions.ask(models.DeleteModel(**of_real))) == "MODEL_NOT_FOUND"
    assert await refused(create(sessions, "x", provider="session", sandbox_only=True)) == "INVALID_REQUEST"
    assert (await sessions.ask(models.GetModel(org_id=sessions.org_id, model_id=real))).label == "real"


async def test_labels_are_one_each_and_can_be_changed(sessions: Sessions) -> None:
    one = (await create(sessions, " one ")).model
    two = (await create(sessions, "two")).model
    assert one.label == "one"
    assert await refused(create(sessions, "one")) == "CONFLICT"
    of_two: dict[str, Any] = {"org_id": sessions.org_id, "model_id": two.model_id}
    assert await refused(sessions.ask(models.UpdateModel(label="one", **of_two))) == "CONFLICT"
    assert (await sessions.ask(models.UpdateModel(label="Three", **of_two))).model.label == "Three"
    for label in ("", " ", "x" * 101, "a\nb"):
        assert await refused(sessions.ask(models.UpdateModel(label=label, **of_two))) == "INVALID_REQUEST"


async def test_a_deleted_model_is_gone_and_its_secrets_with_it(sessions: Sessions) -> None:
    model = (await create(sessions)).model
    of_model: dict[str, Any] = {"org_id": sessions.org_id, "model_id": model.model_id}
    answer = await sessions.ask(models.DeleteModel(**of_model))
    assert answer.model.state == "deleted"
    assert sessions.sandbox.world.calls.auth["auth_logout_ok"] == 1
    row = await sessions.db.fetchrow(
        "SELECT credentials, session, pending FROM vault WHERE model_id = $1", model.model_id
    )
    assert row is not None
    assert [row["credentials"], row["session"], row["pending"]] == [None] * 3
    assert "sessions.model.deleted.v1" in await sessions.events()
    for call in (
        sessions.ask(models.GetModel(**of_model)), sessions.ask(models.DeleteModel(**of_model)),
        sessions.call(model.model_id, "chats_list"),
    ):  # fmt: skip
        assert await refused(call) == "MODEL_NOT_FOUND"
    assert (await create(sessions)).model.label == model.label  # the label is free again


async def test_a_disconnected_model_needs_a_new_link_and_stays_the_same_account(sessions: Sessions) -> None:
    model = await sessions.connect(email="me@sandbox.test")
    of_model: dict[str, Any] = {"org_id": sessions.org_id, "model_id": model.model_id}
    assert (await sessions.ask(models.DisconnectModel(**of_model))).model.state == "disconnected"
    assert await refused(sessions.call(model.model_id, "chats_list")) == "MODEL_NOT_CONNECTED"

    answer = await sessions.ask(models.ReconnectModel(link=LINK, **of_model))
    assert (answer.model.state, answer.link_expires_at is not None) == ("disconnected", True)
    other = await sessions.sealed(LINK, email="somebody-else@sandbox.test", password=PASSWORD)
    assert (await sessions.ask(models.UseLink(link=LINK, sealed=other))).reason == "another_account"
    own = await sessions.sealed(LINK, email="me@sandbox.test", password=PASSWORD)
    assert (await sessions.ask(models.UseLink(link=LINK, sealed=own))).step == "connected"
    assert (await sessions.model(model.model_id)).account == model.account


async def test_R016_a_lost_model_comes_back_with_what_the_vault_holds(sessions: Sessions) -> None:
    model = await sessions.connect()
    sessions.sandbox.fault(route="auth_login", status=403, body='{"error":"locked"}', times=1)
    sessions.sandbox.world.signin.expire()
    assert await refused(sessions.call(model.model_id, "chats_list")) == "SYNC_LOST"
    assert (await sessions.model(model.model_id)).state == "sync_lost"

    reconnect = models.ReconnectModel(org_id=sessions.org_id, model_id=model.model_id, link=LINK)
    answer = await sessions.ask(reconnect)

    assert (answer.model.state, answer.link_expires_at) == ("connected", None)
    assert (await sessions.ask(reconnect)).model.version == answer.model.version  # doing it again changes nothing


async def test_R016_where_the_vault_is_not_enough_a_link_takes_the_new_password(sessions: Sessions) -> None:
    model = await sessions.connect()
    sessions.sandbox.fault(route="auth_login", status=403, body='{"error":"changed"}', times=2)
    sessions.sandbox.world.signin.expire()
    assert await refused(sessions.call(model.model_id, "chats_list")) == "SYNC_LOST"
    answer = await sessions.ask(models.ReconnectModel(org_id=sessions.org_id, model_id=model.model_id, link=LINK))
    assert (answer.model.state, answer.model.reason) == ("sync_lost", "credentials_refused")
    sealed = await sessions.sealed(LINK, email="demo@sandbox.test", password=PASSWORD)
    assert (await sessions.ask(models.UseLink(link=LINK, sealed=sealed))).step == "connected"


async def test_a_due_refresh_that_comes_twice_renews_once(sessions: Sessions) -> None:
    model = await sessions.connect()
    await sessions.db.execute("UPDATE models SET refresh_due_at = now() - interval '2 minutes'")
    assert await sessions.on.sweepings.count_overdue() == 1
    assert await sessions.on.sweepings.enqueue_due_refreshes() == 1
    await sessions.db.execute("UPDATE models SET claimed_until = NULL")  # as if the claim had run out
    assert await sessions.on.sweepings.enqueue_due_refreshes() == 1
    await sessions.relay.flush()
    await sessions.until(lambda now: now.session_number == 2, model.model_id)
    await sessions.bus.drain(5.0)
    assert sessions.sandbox.world.calls.auth["auth_refresh"] == 1
    assert await sessions.on.sweepings.count_overdue() == 0


async def test_an_account_that_is_called_too_fast_is_spared(
    database: TestDatabase, broker: TestBroker, sandbox: Sandbox
) -> None:
    pace = {"sandbox": Rate(per_minute=1, burst=3)}
    async with running_sessions(database, broker, sandbox, paces=pace) as sessions:
        model = await sessions.connect()
        for _ in range(3):
            await sessions.call(model.model_id, "chats_list")
        with pytest.raises(RpcError) as error:
            await sessions.call(model.model_id, "chats_list")
        assert (error.value.code, error.value.fields["retry_after_s"] > 50) == ("UNAVAILABLE", True)
        assert sandbox.world.calls.shown()["by_route"]["chats_list"] == 3
        call_id = uuid7()
        with pytest.raises(RpcError):
            await sessions.send(model.model_id, call_id=call_id)
        assert await sessions.fence(call_id) is None


async def test_what_is_asked_of_a_model_is_told_to_the_audit_log_with_who_and_from_where(sessions: Sessions) -> None:
    by = Actor(key_id=uuid7(), address="203.0.113.7")
    model = (await create(sessions, wants_link=True, link=LINK, by=by)).model
    of_model: dict[str, Any] = {"org_id": sessions.org_id, "model_id": model.model_id, "by": by}
    form = await sessions.sealed(LINK, email="told@sandbox.test", password=PASSWORD)
    await sessions.ask(models.UseLink(link=LINK, sealed=form, address="198.51.100.1"))
    await sessions.ask(models.UpdateModel(label="two", **of_model))
    await sessions.ask(models.UpdateModel(label="two", **of_model))  # changes nothing
    await sessions.ask(models.ReconnectModel(link=LINK, **of_model))  # so does this: it is connected
    await sessions.ask(models.DisconnectModel(**of_model))
    await sessions.ask(models.ReconnectModel(link=LINK, **of_model))
    await sessions.ask(models.DeleteModel(**of_model))

    rows = await sessions.db.fetch("SELECT body FROM outbox WHERE type = 'sessions.model.managed.v1' ORDER BY id")
    deeds = [msgspec.json.decode(row["body"], type=ModelManaged) for row in rows]
    assert [deed.action for deed in deeds] == ["connect", "use_link", "update", "disconnect", "reconnect", "delete"]
    assert {deed.model_id for deed in deeds} == {model.model_id}
    follower = deeds.pop(1)
    assert (follower.by, follower.details) == (Actor(address="198.51.100.1", is_link=True), {"typed": "credentials"})
    assert {(deed.by.key_id, deed.by.address) for deed in deeds} == {(by.key_id, "203.0.113.7")}
    assert deeds[1].details == {"label": {"from": "one", "to": "two"}}
    assert PASSWORD not in repr(rows)
