"""Which model an account number means."""

import pytest

from libs.common.ids import uuid7
from services.sessions.domain.account import Holder, meant
from services.sessions.domain.errors import InvalidRequest, ModelNotFound
from services.sessions.domain.model import State


def held(provider: str = "session", state: State = State.CONNECTED) -> Holder:
    return Holder(uuid7(), provider, state)


def test_the_one_holder_is_meant_whatever_its_state() -> None:
    for state in State:
        holder = held(state=state)
        assert meant([holder], sandbox_only=False) == holder.model_id


def test_nobody_is_not_found() -> None:
    with pytest.raises(ModelNotFound):
        meant([], sandbox_only=False)


def test_two_platforms_with_one_number_are_told_apart_by_uuid_only() -> None:
    with pytest.raises(InvalidRequest, match="UUID"):
        meant([held("session"), held("fanvue")], sandbox_only=False)


@pytest.mark.parametrize("state", [State.DISCONNECTED, State.CONNECT_FAILED])
def test_a_model_that_let_go_yields_to_the_one_that_holds(state: State) -> None:
    gone, holder = held("fanvue", state), held("session")
    assert meant([gone, holder], sandbox_only=False) == holder.model_id
    newest, older = held(state=state), held(state=state)
    assert meant([newest, older], sandbox_only=False) == newest.model_id


def test_a_sandbox_key_sees_sandbox_models_only() -> None:
    real, sandbox = held("session"), held("sandbox")
    assert meant([real, sandbox], sandbox_only=True) == sandbox.model_id
    with pytest.raises(ModelNotFound):
        meant([real], sandbox_only=True)
