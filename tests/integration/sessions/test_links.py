"""Connect links on the real servers, with the sandbox as the platform: what a user types travels sealed, and works once."""

import asyncio
import hashlib
import secrets
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from libs.common.contracts import models
from libs.common.errors import RpcError
from libs.common.sealing import seal_form
from services.sessions.sandbox.signin import PASSWORD, TWO_FACTOR_CODE
from tests.support.sessions import Sessions

DEADLINE_SECONDS = 10


class Page:
    """The edge's part of a connect link, by hand."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self.digest = hashlib.sha256(secrets.token_bytes(32)).digest()

    async def create(self, *, provider: str = "session", label: str = "one", **more: Any) -> models.ModelAnswer:
        org_id = self._sessions.org_id
        asked = models.CreateModel(org_id=org_id, provider=provider, label=label, link=self.digest, **more)
        answer: models.ModelAnswer = await self._sessions.ask(asked)
        return answer

    async def show(self) -> models.LinkShown:
        shown: models.LinkShown = await self._sessions.ask(models.GetLink(link=self.digest))
        return shown

    async def send(self, *, bound_to: bytes | None = None, **form: str) -> models.LinkShown:
        sealed = await self._sessions.sealed(bound_to or self.digest, **form)
        shown: models.LinkShown = await self._sessions.ask(models.UseLink(link=self.digest, sealed=sealed))
        return shown


@pytest.fixture
def page(sessions: Sessions) -> Page:
    return Page(sessions)


async def refused(call: Any) -> str:
    with pytest.raises(RpcError) as error:
        await call
    return error.value.code


async def test_a_link_connects_a_model_once(sessions: Sessions, page: Page) -> None:
    answer = await page.create()
    assert (answer.model.state, (await page.show()).step) == ("connecting", "credentials")
    assert answer.link_expires_at is not None
    assert answer.link_expires_at - answer.model.created_at < timedelta(minutes=15, seconds=5)

    shown = await page.send(email="me@sandbox.test", password=PASSWORD)

    assert shown.step == "connected"
    assert (await sessions.model(answer.model.model_id)).state == "connected"
    assert (await page.show()).step == "connected"  # for whoever reloads the page
    assert await refused(page.send(email="me@sandbox.test", password=PASSWORD)) == "LINK_GONE"
    assert sessions.sandbox.logins == 1
    reply, body = await sessions.call(answer.model.model_id, "chats_list")
    assert (reply.status, body[:1]) == (200, b"{")


async def test_the_job_beside_the_waiting_user_signs_in_no_second_time(sessions: Sessions, page: Page) -> None:
    await page.create()
    await asyncio.gather(
        page.send(email="me@sandbox.test", password=PASSWORD), *[sessions.relay.flush() for _ in range(3)]
    )
    await sessions.relay.flush()
    await asyncio.sleep(0.2)
    assert sessions.sandbox.logins == 1


async def test_two_factor_codes_are_asked_for_and_may_be_corrected(sessions: Sessions, page: Page) -> None:
    answer = await page.create()
    assert (await page.send(email="two-factor@sandbox.test", password=PASSWORD)).step == "code"
    wrong = await page.send(code="000000")
    assert (wrong.step, wrong.reason) == ("code", "code_refused")
    assert (await page.send(code=TWO_FACTOR_CODE)).step == "connected"
    assert (await sessions.model(answer.model.model_id)).account is not None
    assert sessions.sandbox.logins == 1


async def test_a_code_may_be_given_by_a_command_too(sessions: Sessions, page: Page) -> None:
    model_id = (await page.create()).model.model_id
    of_model: dict[str, Any] = {"org_id": sessions.org_id, "model_id": model_id}
    sealed = await sessions.sealed(model_id.bytes, code=TWO_FACTOR_CODE)
    assert await refused(sessions.ask(models.SubmitCode(sealed=sealed, **of_model))) == "CONFLICT"
    await page.send(email="two-factor@sandbox.test", password=PASSWORD)
    answer = await sessions.ask(models.SubmitCode(sealed=sealed, **of_model))
    assert answer.model.state == "connected"


async def test_a_wrong_password_is_said_and_can_be_corrected_ten_times(sessions: Sessions, page: Page) -> None:
    await page.create()
    for _ in range(10):
        shown = await page.send(email="me@sandbox.test", password="wrong")
        assert (shown.step, shown.reason) == ("credentials", "credentials_refused")
    assert await refused(page.send(email="me@sandbox.test", password=PASSWORD)) == "LINK_GONE"


async def test_a_link_ends_after_a_quarter_of_an_hour(sessions: Sessions, page: Page) -> None:
    await page.create()
    await sessions.db.execute("UPDATE connect_links SET expires_at = expires_at - interval '15 minutes'")
    assert await refused(page.show()) == "LINK_GONE"
    assert await refused(page.send(email="me@sandbox.test", password=PASSWORD)) == "LINK_GONE"
    assert sessions.sandbox.logins == 0


async def test_a_form_for_another_link_or_to_a_lost_key_is_not_read(sessions: Sessions, page: Page) -> None:
    await page.create()
    form = {"email": "me@sandbox.test", "password": PASSWORD}
    assert await refused(page.send(bound_to=b"another", **form)) == "INVALID_REQUEST"
    lost = seal_form("gone", (await sessions.ask(models.GetFormKey())).public, bound_to=page.digest, form=b"{}")
    assert await refused(sessions.ask(models.UseLink(link=page.digest, sealed=lost))) == "UNAVAILABLE"
    assert await refused(page.send(email="x" * 2_000, password="y")) == "INVALID_REQUEST"
    assert await refused(page.send(email="only")) == "INVALID_REQUEST"


async def test_nothing_typed_lies_open_in_the_database(sessions: Sessions, page: Page) -> None:
    await page.create()
    await page.send(email="two-factor-x@sandbox.test", password=PASSWORD)
    for table in ("models", "vault", "connect_links", "outbox", "inbox"):
        for row in await sessions.db.fetch(f"SELECT t::text AS text FROM {table} t"):
            assert PASSWORD not in row["text"]
            assert PASSWORD.encode().hex() not in row["text"]
            assert "two-factor-x" not in row["text"]


async def test_a_model_whose_user_is_still_typing_is_left_alone(sessions: Sessions, page: Page) -> None:
    model_id = (await page.create()).model.model_id
    await sessions.db.execute("UPDATE models SET updated_at = updated_at - interval '11 minutes'")
    assert await sessions.on.sweepings.nudge_stuck() == 0
    await sessions.db.execute("UPDATE connect_links SET expires_at = now()")
    assert await sessions.on.sweepings.nudge_stuck() == 1
    await sessions.relay.flush()
    assert (await sessions.settled(model_id)).state == "connect_failed"


def test_a_form_does_not_show_itself() -> None:
    assert repr(models.Form(email="a", password="b")) == "<Form>"
    assert msgspec.json.encode(models.Form(code="1")) == b'{"code":"1"}'
