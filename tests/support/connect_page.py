"""A browser without script on a connect page: it opens the link, fills in the form it was given, follows the redirect."""

import re
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it came."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def title(self) -> str:
        found = re.search(r"<h1>(.*)</h1>", self.text)
        assert found, self.text
        return found[1]

    @property
    def problem(self) -> str:
        found = re.search(r'<p class="problem" role="alert">(.*?)</p>', self.text)
        return found[1] if found else ""

    @property
    def form(self) -> dict[str, str]:
        """Hidden fields of the form."""
        return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', self.text))

    @property
    def fields(self) -> list[str]:
        """What is to be typed; each has its label."""
        names = re.findall(r'<input id="(\w+)"', self.text)
        assert names == re.findall(r'<label for="(\w+)">', self.text)
        return names


class Browser:
    """`async with Browser(url) as browser: page = await browser.open(); page = await browser.send(page, email=…)`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    @property
    def origin(self) -> str:
        return "/".join(self.url.split("/")[:3])

    async def open(self) -> Page:
        async with self._session.get(self.url) as answer:
            return Page(answer.status, dict(answer.headers), await answer.text())

    async def send(self, page: Page, *, headers: dict[str, str] | None = None, **typed: str) -> Page:
        """Fill in the form of `page` and send it, as a browser does."""
        sent = {"Origin": self.origin} if headers is None else headers
        async with self._session.post(self.url, data={**page.form, **typed}, headers=sent) as answer:
            return Page(answer.status, dict(answer.headers), await answer.text())
