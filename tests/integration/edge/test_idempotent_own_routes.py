"""`Idempotency-Key` on the gateway's own routes: one key is made, shown again to whoever asked for it, and to nobody else."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from libs.common.contracts import auth
from libs.common.db.pool import Database
from services.edge.domain.refusal import Refusal
from services.edge.store.idempotency import PostgresAnswers
from services.edge.store.sealed_answers import SealedAnswers
from tests.support.edge import RING, RunningEdge, a_principal, running_edge
from tests.support.gateway_client import Answer
from tests.support.servers import TestDatabase

GOLDEN = Path(__file__).parents[2] / "contract" / "golden" / "auth.rpc.key.create.v1.reply.json"
MADE = msgspec.json.decode(GOLDEN.read_bytes(), type=auth.KeyCreated)
ORDER = b'{"label":"production","role":"messaging"}'


@pytest.fixture
async def db(database: TestDatabase) -> AsyncIterator[Database]:
    own = await Database.connect(database.dsn("edge"), schema="edge", name="test", size_min=0)
    yield own
    await own.close()


@pytest.fixture
async def edge(redis_url: str, db: Database) -> AsyncIterator[RunningEdge]:
    async with running_edge(redis_url, answers=PostgresAnswers(db, SealedAnswers(RING), fence_ms=40_000)) as running:
        running.services.replies[auth.CreateKey] = MADE
        yield running


async def ask(
    edge: RunningEdge, api_key: str, *, body: bytes = ORDER, method: str = "POST", path: str = "/keys"
) -> Answer:
    headers = {"X-API-Key": api_key, "Content-Type": "application/json", "Idempotency-Key": "key-1"}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{edge.url}/api{path}", data=body, headers=headers) as answer,
    ):
        return Answer(answer.status, answer.headers, await answer.read())


def commands(edge: RunningEdge, kind: type[Any] = auth.CreateKey) -> int:
    return sum(isinstance(command, kind) for command in edge.services.asked)


async def test_a_key_is_made_once_and_its_secret_is_not_lost_with_the_answer(edge: RunningEdge, db: Database) -> None:
    api_key, _, _ = edge.organization()
    first, again = await ask(edge, api_key), await ask(edge, api_key)
    assert (first.status, first.body) == (again.status, again.body)
    assert first.status == 201
    assert first.json["data"]["secret"] == MADE.text
    assert again.headers["Idempotent-Replayed"] == "true"
    assert commands(edge) == 1
    row = await db.fetchrow("SELECT * FROM idempotency")
    assert row is not None
    assert not [value for value in row.values() if MADE.text in str(value) or MADE.text.encode() in _bytes(value)]


async def test_a_secret_is_shown_again_only_to_the_key_that_asked(edge: RunningEdge) -> None:
    api_key, principal, _ = edge.organization()
    await ask(edge, api_key)
    colleague = edge.directory.issue(a_principal(org_id=principal.org_id))
    answer = await ask(edge, colleague)
    assert (answer.status, answer.headers["X-Error-Code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert MADE.text.encode() not in answer.body


@pytest.mark.parametrize("code", ["INVALID_REQUEST", "CONFLICT"])
async def test_a_refused_order_may_be_corrected_under_its_key(edge: RunningEdge, code: str) -> None:
    api_key, _, _ = edge.organization()
    edge.services.replies[auth.CreateKey] = Refusal(code)
    assert (await ask(edge, api_key)).status in {400, 409}
    edge.services.replies[auth.CreateKey] = MADE
    assert (await ask(edge, api_key, body=b'{"label":"staging","role":"messaging"}')).status == 201


async def test_an_order_that_auth_was_never_asked_for_may_be_repeated(edge: RunningEdge) -> None:
    api_key, _, _ = edge.organization()
    edge.services.replies[auth.CreateKey] = Refusal("UNAVAILABLE", is_unsent=True)
    assert (await ask(edge, api_key)).status == 503
    edge.services.replies[auth.CreateKey] = MADE
    assert (await ask(edge, api_key)).status == 201


@pytest.mark.parametrize("said", [Refusal("UNAVAILABLE"), Refusal("OUTCOME_UNKNOWN")])
async def test_an_order_that_may_have_been_carried_out_is_unknown_and_never_repeated(
    edge: RunningEdge, said: Refusal
) -> None:
    api_key, _, _ = edge.organization()
    edge.services.replies[auth.CreateKey] = said
    assert (await ask(edge, api_key)).status == said.status
    edge.services.replies[auth.CreateKey] = MADE
    for _ in range(2):
        answer = await ask(edge, api_key)
        assert (answer.status, answer.json["code"]) == (504, "OUTCOME_UNKNOWN")
    assert commands(edge) == 1


async def test_a_change_that_may_be_repeated_is_repeated_after_an_outage(edge: RunningEdge) -> None:
    api_key, principal, _ = edge.organization()
    edit = {"method": "PATCH", "path": "/organization", "body": json.dumps({"name": "new"}).encode()}
    edge.services.replies[auth.UpdateOrganization] = Refusal("UNAVAILABLE")
    assert (await ask(edge, api_key, **edit)).status == 503  # type: ignore[arg-type]
    organization = auth.Organization(
        org_id=principal.org_id, name="new", state="active", is_sandbox=False, read_only=False, plan="", subscription="none",
        per_minute=1, per_day=1,
    )  # fmt: skip
    edge.services.replies[auth.UpdateOrganization] = auth.OrganizationUpdated(av=1, organization=organization)
    answers = [await ask(edge, api_key, **edit) for _ in range(2)]  # type: ignore[arg-type]
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].body == answers[1].body
    assert commands(edge, auth.UpdateOrganization) == 2


async def test_an_answer_without_data_is_given_again(edge: RunningEdge) -> None:
    api_key, _, _ = edge.organization()
    edge.services.replies[auth.DeleteRole] = auth.Changed(av=1)
    path = "/roles/0199f3a4-7a3b-7c1d-8e2f-0a1b2c3d4e5f"
    answers = [await ask(edge, api_key, method="DELETE", path=path, body=b"") for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].body == answers[1].body
    assert commands(edge, auth.DeleteRole) == 1


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""
