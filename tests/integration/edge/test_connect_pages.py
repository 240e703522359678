"""The pages of connect links before a double of sessions: refusals, the limit per address, and what is never logged."""

import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aiohttp
import aiohttp.web
import msgspec
import pytest

from libs.common.clock import SystemClock
from libs.common.contracts.envelope import Message
from libs.common.contracts.models import Form, FormKey, GetFormKey, LinkShown, UseLink
from libs.common.http.server import HttpServer
from libs.common.redis.client import Redis
from libs.common.sealing import FormKeys
from services.edge.domain.refusal import Refusal
from services.edge.entry.connect_page import ConnectPage
from services.edge.entry.link_pages import LinkPages
from services.edge.entry.pages import FORM_BYTES_MAX
from services.edge.entry.proxies import TrustedProxies
from services.edge.gateways.forms import SealedForms
from services.edge.store.failures import CountedFailures
from services.edge.usecases.ask_consent import AskConsent
from services.edge.usecases.follow_link import FollowLink
from tests.support.connect_page import Browser

KEYS = FormKeys.parse(f"k1:{'11' * 32}")
CLOCK = SystemClock()
SHOWN = LinkShown(label="Mia", provider="session", step="credentials", expires_at=datetime(2026, 6, 1, tzinfo=UTC))


@dataclass
class LinkHolder:
    """`sessions`: one link, whose use is answered or raised as told."""

    shown: LinkShown = field(default_factory=lambda: SHOWN)
    on_use: Exception | None = None
    is_gone: bool = False
    typed: list[Form] = field(default_factory=list)
    sealed: list[bytes] = field(default_factory=list)

    async def ask(
        self, command: Message, *, org_id: UUID | None, deadline_ms: int, may_repeat: bool, blob: bytes = b""
    ) -> Message:
        assert (org_id, may_repeat, deadline_ms > CLOCK.now_ms()) == (None, True, True)
        if isinstance(command, GetFormKey):
            return FormKey(name=KEYS.active, public=KEYS.public)
        if self.is_gone:
            raise Refusal("LINK_GONE")
        if isinstance(command, UseLink):
            self.sealed.append(command.sealed)
            self.typed.append(msgspec.json.decode(KEYS.open(command.sealed, bound_to=command.link), type=Form))
            if self.on_use is not None:
                raise self.on_use
        return self.shown


@dataclass
class Pages:
    url: str
    holder: LinkHolder

    def browser(self) -> Browser:
        return Browser(f"{self.url}/connect/{secrets.token_urlsafe(32)}")


@contextlib.asynccontextmanager
async def running_pages(redis_url: str, **more: Any) -> AsyncIterator[Pages]:
    redis, holder = Redis.create(redis_url, size_max=2), LinkHolder()
    forms = SealedForms(holder, CLOCK)
    pages = LinkPages(
        ConnectPage(FollowLink(holder, forms, CLOCK), AskConsent(holder, forms, CLOCK)),
        failures=CountedFailures(redis, CLOCK, scope="connect-"),
        proxies=TrustedProxies.parse("127.0.0.1"),
        **{"require_https": False, **more},
    )
    server = await HttpServer.start(
        pages, on_bad_http=lambda _: aiohttp.web.Response(), host="127.0.0.1", port=0, drain_s=1.0
    )
    try:
        yield Pages(f"http://127.0.0.1:{server.port}", holder)
    finally:
        await server.close()
        await redis.close()


@pytest.fixture
async def pages(redis_url: str) -> AsyncIterator[Pages]:
    async with running_pages(redis_url) as running:
        yield running


async def test_what_is_typed_leaves_sealed_and_is_in_no_log(
    pages: Pages, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with pages.browser() as browser:
        page = await browser.send(await browser.open(), email=" planted@b.test ", password=" planted-secret ")
        token = browser.url.rpartition("/")[2]
    assert page.status == 200
    assert pages.holder.typed == [Form(email="planted@b.test", password=" planted-secret ")]
    assert b"planted" not in b"".join(pages.holder.sealed)
    out, err = capfd.readouterr()
    assert "connect page" in out + err + caplog.text
    for secret in ("planted", token):
        assert secret not in out + err + caplog.text


async def test_ten_unknown_links_block_an_address_and_no_other(pages: Pages) -> None:
    pages.holder.is_gone = True
    mine, yours = {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.2"}
    async with aiohttp.ClientSession(pages.url) as session:

        async def status(headers: dict[str, str]) -> tuple[int, str]:
            async with session.get(f"/connect/{secrets.token_urlsafe(32)}", headers=headers) as answer:
                return answer.status, answer.headers.get("Retry-After", "")

        assert [(await status(mine))[0] for _ in range(10)] == [404] * 10
        pages.holder.is_gone = False
        blocked, wait = await status(mine)
        assert (blocked, 1 <= int(wait) <= 60) == (429, True)
        assert (await status(yours))[0] == 200


@pytest.mark.parametrize(
    ("method", "sent", "status"),
    [
        ("PUT", {}, 405), ("DELETE", {}, 405), ("POST", {"json": {"email": "a"}}, 415),
        ("POST", {"data": {"email": "x" * FORM_BYTES_MAX}}, 413), ("POST", {"data": {"email": "a"}}, 403),
        ("POST", {"data": b"form=%ff", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}, 400),
    ],
)  # fmt: skip
async def test_refusals(pages: Pages, method: str, sent: dict[str, Any], status: int) -> None:
    sent = {**sent, "headers": {"Origin": pages.url, **sent.get("headers", {})}}
    url = f"/connect/{secrets.token_urlsafe(32)}"
    async with aiohttp.ClientSession(pages.url) as session, session.request(method, url, **sent) as answer:
        text = await answer.text()
        assert (answer.status, "Content-Security-Policy" in answer.headers) == (status, True)
    assert 'role="alert"' in text
    assert pages.holder.typed == []


async def test_trouble_is_said_in_words(pages: Pages) -> None:
    async with pages.browser() as browser:
        page = await browser.open()
        pages.holder.on_use = Refusal("INVALID_REQUEST", "This account is connected already, as another model")
        again = await browser.send(page, email="a@b.test", password="p")
        assert (again.status, again.problem) == (400, "This account is connected already, as another model")
        pages.holder.on_use = Refusal("UNAVAILABLE")
        away = await browser.send(page, email="a@b.test", password="p")
        assert (away.status, away.headers["Retry-After"], away.title) == (503, "1", "Not possible at the moment")
        pages.holder.on_use = Refusal("UPSTREAM_TIMEOUT")
        pages.holder.shown = msgspec.structs.replace(pages.holder.shown, step="working")
        slow = await browser.send(page, email="a@b.test", password="p")
        assert (slow.status, slow.title) == (200, "Connecting Mia")
        pages.holder.on_use = RuntimeError("a defect")
        assert (await browser.send(page, email="a@b.test", password="p")).status == 500


async def test_plain_http_is_refused_and_the_cookie_is_for_https_only(redis_url: str) -> None:
    async with running_pages(redis_url, require_https=True) as pages, aiohttp.ClientSession(pages.url) as session:
        url = f"/connect/{secrets.token_urlsafe(32)}"
        async with session.get(url) as answer:
            assert answer.status == 403
        async with session.get(url, headers={"X-Forwarded-Proto": "https"}) as answer:
            assert answer.status == 200
            assert "Secure" in answer.headers["Set-Cookie"]
