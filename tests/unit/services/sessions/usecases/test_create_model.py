"""Creating a model: of what is set up, and of nothing else."""

from typing import Any

import pytest

from libs.common.contracts.models import CreateModel as Asked
from libs.common.ids import uuid7
from services.sessions.domain.errors import InvalidRequest
from services.sessions.gateways.providers.absent import Providers
from services.sessions.usecases.create_model import CreateModel
from tests.support.clock import FakeClock
from tests.support.fakes_sessions import FakeProvider, a_store


async def test_a_provider_that_is_not_set_up_is_said_so_and_nothing_is_made() -> None:
    store, nothing = a_store(), Any
    known = Providers(sandbox=FakeProvider())
    create = CreateModel(store, nothing, nothing, FakeClock(), known.keys(), "pw")  # type: ignore[arg-type]
    before = store.contents
    with pytest.raises(InvalidRequest) as refused:
        await create(Asked(org_id=uuid7(), provider="fanvue", label="Mia", link=b"0" * 32))
    assert refused.value.public == "provider: fanvue is not set up here; expected one of sandbox"
    assert store.contents == before
