"""A browser on its way to the platform and back, before a double of sessions: which answers are taken, and what never shows."""

import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import aiohttp
import aiohttp.web
import msgspec
import pytest

from libs.common.clock import SystemClock
from libs.common.contracts.envelope import Message
from libs.common.contracts.models import (
    ConsentStarted,
    FinishConsent,
    Form,
    FormKey,
    GetFormKey,
    LinkShown,
    StartConsent,
)
from libs.common.http.server import HttpServer
from libs.common.redis.client import Redis
from libs.common.sealing import FormKeys
from services.edge.domain.consent import Trip
from services.edge.domain.link import link_digest
from services.edge.domain.refusal import Refusal
from services.edge.entry.connect_page import ConnectPage
from services.edge.entry.consent_callback import PATH, ConsentCallback
from services.edge.entry.front import Front
from services.edge.entry.link_pages import LinkPages
from services.edge.entry.proxies import TrustedProxies
from services.edge.gateways.forms import SealedForms
from services.edge.store.failures import CountedFailures
from services.edge.usecases.ask_consent import AskConsent
from services.edge.usecases.follow_link import FollowLink
from tests.support.connect_page import Browser

KEYS = FormKeys.parse(f"k1:{'11' * 32}")
CLOCK = SystemClock()
SHOWN = LinkShown(label="Mia", provider="fanvue", step="consent", expires_at=datetime(2026, 6, 1, tzinfo=UTC))
AUTHORIZE = "https://auth.fanvue.test/oauth2/auth?client_id=app"


@dataclass
class Waiting:
    """`sessions`: one link that waits for its browser."""

    started: list[StartConsent] = field(default_factory=list)
    finished: list[FinishConsent] = field(default_factory=list)
    refusal: Refusal | None = None

    async def ask(
        self, command: Message, *, org_id: UUID | None, deadline_ms: int, may_repeat: bool, blob: bytes = b""
    ) -> Message:
        assert (org_id, may_repeat, deadline_ms > CLOCK.now_ms()) == (None, True, True)
        if isinstance(command, GetFormKey):
            return FormKey(name=KEYS.active, public=KEYS.public)
        if isinstance(command, StartConsent):
            self.started.append(command)
            return ConsentStarted(url=AUTHORIZE)
        if isinstance(command, FinishConsent):
            self.finished.append(command)
            if self.refusal is not None:
                raise self.refusal
        return SHOWN

    def brought(self) -> Form:
        """What the newest browser came back with, opened."""
        newest = self.finished[-1]
        return msgspec.json.decode(KEYS.open(newest.sealed, bound_to=newest.consent), type=Form)


@dataclass
class Edge:
    url: str
    waiting: Waiting

    async def back(
        self, query: str, cookie: str = "", *, method: str = "GET", **headers: str
    ) -> aiohttp.ClientResponse:
        """Come back from the platform; answers what the edge says."""
        sent = {"Cookie": cookie} if cookie else {}
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.request(
                method, f"{self.url}{PATH}?{query}", headers={**sent, **headers}, allow_redirects=False
            ) as answer,
        ):
            await answer.read()
            return answer


@contextlib.asynccontextmanager
async def running_edge(redis_url: str, **more: Any) -> AsyncIterator[Edge]:
    redis, waiting = Redis.create(redis_url, size_max=2), Waiting()
    forms = SealedForms(waiting, CLOCK)
    ask = AskConsent(waiting, forms, CLOCK)
    shared: dict[str, Any] = {
        "failures": CountedFailures(redis, CLOCK, scope="connect-"), "proxies": TrustedProxies.parse("127.0.0.1"),
        "require_https": False, **more,
    }  # fmt: skip
    links = LinkPages(ConnectPage(FollowLink(waiting, forms, CLOCK), ask), **shared)
    front = Front(links, links=[ConsentCallback(ask, link_prefix="/connect/", **shared), links], docs=_NoDocs())
    server = await HttpServer.start(
        front, on_bad_http=lambda _: aiohttp.web.Response(), host="127.0.0.1", port=0, drain_s=1.0
    )
    try:
        yield Edge(f"http://127.0.0.1:{server.port}", waiting)
    finally:
        await server.close()
        await redis.close()


@dataclass
class _NoDocs:
    paths: tuple[str, ...] = ()

    async def __call__(self, request: aiohttp.web.BaseRequest) -> aiohttp.web.StreamResponse:
        del request
        return aiohttp.web.Response(status=500)


@pytest.fixture
async def edge(redis_url: str) -> AsyncIterator[Edge]:
    async with running_edge(redis_url) as running:
        yield running


def a_trip() -> tuple[Trip, str, str]:
    """A trip, the link it came from, and the cookie that the browser keeps meanwhile."""
    trip, token = Trip.begin(), secrets.token_urlsafe(32)
    return trip, token, f"consent={token}.{trip.secret}"


async def test_a_click_leads_to_the_platform_and_leaves_a_secret_in_the_browser(edge: Edge) -> None:
    token = secrets.token_urlsafe(32)
    async with Browser(f"{edge.url}/connect/{token}") as browser:
        page = await browser.send(await browser.open(), consent="ask")
    (started,) = edge.waiting.started
    kept = SimpleCookie(page.headers["Set-Cookie"])["consent"]
    link, _, secret = kept.value.partition(".")
    state = page.text.partition("&amp;state=")[2][:43]
    trip = Trip(state, secret)
    assert (link, started.link) == (token, link_digest(token))
    assert (started.consent, started.challenge) == (trip.digest, trip.challenge)
    assert f'content="0;url={AUTHORIZE}&amp;state={state}"' in page.text
    assert (kept["httponly"], kept["samesite"], kept["path"], kept["secure"]) == (True, "Lax", "/", "")
    assert secret not in page.text


async def test_what_the_browser_brings_goes_on_sealed_and_the_browser_to_its_link(edge: Edge) -> None:
    trip, token, cookie = a_trip()
    query = urlencode(
        {"code": "the-code/+=", "state": trip.state, "scope": "read:self", "iss": "https://auth.fanvue.test"}
    )
    answer = await edge.back(query, cookie)
    assert (answer.status, answer.headers["Location"]) == (303, f"/connect/{token}")
    (finished,) = edge.waiting.finished
    assert (finished.consent, finished.error, finished.issuer) == (trip.digest, "", "https://auth.fanvue.test")
    assert edge.waiting.brought() == Form(code="the-code/+=", verifier=trip.verifier)
    assert b"the-code" not in msgspec.json.encode(finished)
    assert 'consent=""' in answer.headers["Set-Cookie"]
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    assert (answer.headers["Cache-Control"], answer.headers["Referrer-Policy"]) == ("no-store", "same-origin")


async def test_a_no_goes_on_as_a_no(edge: Edge) -> None:
    trip, token, cookie = a_trip()
    answer = await edge.back(urlencode({"error": "access_denied", "state": trip.state}), cookie)
    assert (answer.status, answer.headers["Location"]) == (303, f"/connect/{token}")
    assert (edge.waiting.finished[0].error, edge.waiting.finished[0].sealed) == ("access_denied", b"")


async def test_who_did_not_leave_from_here_is_not_taken_back(edge: Edge) -> None:
    trip, _, cookie = a_trip()
    _, _, foreign = a_trip()
    good = {"code": "c", "state": trip.state}
    for query, sent in (
        (good, ""), ({"code": "c"}, cookie), ({**good, "state": "short"}, cookie), ({**good, "state": trip.state + "="}, cookie),
        (good, "consent=x.y"), (good, f"consent={'x' * 90}"), (good, cookie.replace("consent", "connect")),
        (good, "__Host-" + cookie),  # that name is for HTTPS only
    ):  # fmt: skip
        assert (await edge.back(urlencode(query), sent)).status == 403, (query, sent)
    assert edge.waiting.finished == []
    edge.waiting.refusal = Refusal("LINK_GONE")  # what sessions says of a state that is used up, or another browser's
    answer = await edge.back(urlencode(good), foreign)
    assert (answer.status, "Location" in answer.headers) == (403, False)


@pytest.mark.parametrize(
    "said",
    [
        {}, {"code": ""}, {"code": "c", "error": "access_denied"}, {"code": "c d"}, {"code": "ü"}, {"code": "c" * 2_049},
        {"error": "e" * 101}, {"error": "a\nb"}, {"code": "c", "iss": "i" * 256}, {"code": "c", "iss": "a b"},
    ],
)  # fmt: skip
async def test_an_answer_that_makes_no_sense_goes_nowhere(edge: Edge, said: dict[str, str]) -> None:
    trip, _, cookie = a_trip()
    assert (await edge.back(urlencode({"state": trip.state, **said}), cookie)).status == 400
    assert edge.waiting.finished == []


async def test_a_parameter_that_comes_twice_and_an_address_that_is_too_long_go_nowhere(edge: Edge) -> None:
    trip, _, cookie = a_trip()
    for query in (
        f"code=a&code=b&state={trip.state}", f"code=a&state={trip.state}&state={trip.state}",
        f"code=%ff&state={trip.state}", f"state={trip.state}&code=a" + "".join(f"&x{number}=1" for number in range(20)),
    ):  # fmt: skip
        assert (await edge.back(query, cookie)).status == 400, query
    for method in ("POST", "HEAD", "PUT"):
        assert (await edge.back(f"code=a&state={trip.state}", cookie, method=method)).status == 405
    assert edge.waiting.finished == []


async def test_trouble_on_our_side_leaves_the_answer_for_another_try(edge: Edge) -> None:
    trip, token, cookie = a_trip()
    query = urlencode({"code": "c", "state": trip.state})
    for refusal, status in (
        (Refusal("UNAVAILABLE", retry_after_s=3), 503), (Refusal("INVALID_REQUEST", "no"), 400), (Refusal("INTERNAL_ERROR"), 500),
    ):  # fmt: skip
        edge.waiting.refusal = refusal
        answer = await edge.back(query, cookie)
        assert (answer.status, "Set-Cookie" in answer.headers) == (status, False)
    edge.waiting.refusal = Refusal("UPSTREAM_TIMEOUT")  # the exchange goes on: the link's page tells how it ends
    assert (await edge.back(query, cookie)).headers["Location"] == f"/connect/{token}"


async def test_neither_code_nor_state_nor_link_is_in_a_log(
    edge: Edge, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    trip, token, cookie = a_trip()
    for refusal in (None, Refusal("LINK_GONE"), Refusal("UNAVAILABLE")):
        edge.waiting.refusal = refusal
        await edge.back(urlencode({"code": "planted-code", "state": trip.state}), cookie)
    out, err = capfd.readouterr()
    logged = out + err + caplog.text
    assert "consent callback" in logged
    assert [secret for secret in ("planted-code", trip.state, trip.secret, token) if secret in logged] == []


async def test_over_https_the_cookie_cannot_be_set_by_anybody_else(redis_url: str) -> None:
    async with running_edge(redis_url, require_https=True) as edge:
        trip, token, cookie = a_trip()
        query = urlencode({"code": "c", "state": trip.state})
        assert (await edge.back(query, cookie)).status == 403, "plain HTTP"
        https = {"X-Forwarded-Proto": "https"}
        assert (await edge.back(query, cookie, **https)).status == 403, "a cookie that others may have set"
        answer = await edge.back(query, f"__Host-{cookie}", **https)
        assert (answer.status, answer.headers["Location"]) == (303, f"/connect/{token}")
        kept = answer.headers["Set-Cookie"]
        assert kept.startswith('__Host-consent=""')
        assert "Secure" in kept
        assert "Domain" not in kept


async def test_guesses_block_an_address(edge: Edge) -> None:
    edge.waiting.refusal = Refusal("LINK_GONE")
    statuses = []
    for _ in range(12):
        trip, _, cookie = a_trip()
        statuses.append((await edge.back(urlencode({"code": "c", "state": trip.state}), cookie)).status)
    assert (statuses[0], statuses[-1]) == (403, 429)
