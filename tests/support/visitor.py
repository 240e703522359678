"""Somebody at a browser without script: keeps cookies, fills in the forms it was given, and shows where it is sent instead of going."""

import html
import re
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

import aiohttp
from yarl import URL

from tests.support.connect_page import Page


class Visitor:
    """`async with Visitor(url) as visitor: page = await visitor.get("/account/sign-in")`."""

    def __init__(self, url: str, *, address: str = "") -> None:
        """`address` is where the visitor comes from, for an edge that believes it."""
        self.url = url
        comes = {"X-Forwarded-For": address} if address else None
        self.session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), headers=comes)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.session.close()

    async def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> Page:
        """A page as it comes; redirects are not followed."""
        async with self.session.get(
            URL(self.url + path, encoded=True), headers=headers, allow_redirects=False
        ) as answer:
            return Page(answer.status, dict(answer.headers), await answer.text())

    async def post(
        self, path: str, page: Page | None = None, *, headers: Mapping[str, str] | None = None,
        **typed: str | Sequence[str],
    ) -> Page:  # fmt: skip
        """Fill in the first form of `page` and send it to `path`, as a browser does from our own page."""
        fields = {} if page is None else first_form(page)
        sent: list[tuple[str, str]] = []
        for name, value in {**fields, **typed}.items():
            sent += [(name, value)] if isinstance(value, str) else [(name, each) for each in value]
        given = {"Origin": self.url} if headers is None else headers
        async with self.session.post(
            URL(self.url + path, encoded=True), data=aiohttp.FormData(sent), headers=given, allow_redirects=False
        ) as answer:
            return Page(answer.status, dict(answer.headers), await answer.text())

    async def sign_in(self, email: str, password: str, *, back: str = "") -> Page:
        """What the sign-in answers: 303 to where it leads, if all was right."""
        path = f"/account/sign-in{back}"
        return await self.post(path, await self.get(path), email=email, password=password)

    def cookie(self, name: str = "sid") -> str:
        """The text of a cookie, or nothing."""
        return next((cookie.value for cookie in self.session.cookie_jar if cookie.key == name), "")

    def plant(self, text: str, name: str = "sid") -> None:
        """Have this cookie, however it came there."""
        self.session.cookie_jar.update_cookies({name: text}, response_url=URL(self.url))

    def forget(self, name: str = "sid") -> None:
        """Drop one cookie."""
        self.session.cookie_jar.clear(lambda cookie: cookie.key == name)


def first_form(page: Page) -> dict[str, str]:
    """The hidden fields of a page's first form."""
    form = page.text.partition("<form")[2].partition("</form>")[0]
    return {
        name: html.unescape(value)
        for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form)
    }


def sent_to(page: Page) -> str:
    """Where a redirect leads, without what it brings along."""
    assert page.status == 303, (page.status, page.text)
    return page.headers["Location"].partition("?")[0]


def brought(page: Page) -> dict[str, str]:
    """What a redirect brings along."""
    assert page.status == 303, (page.status, page.text)
    return {name: values[0] for name, values in parse_qs(urlsplit(page.headers["Location"]).query).items()}
