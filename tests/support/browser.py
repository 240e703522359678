"""A real browser without a window: Chromium, driven over its own protocol. What it loads and what it complains of is seen."""

import asyncio
import contextlib
import itertools
import json
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

PROGRAM: Final = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SECONDS_MAX: Final = 60
_OPTIONS: Final = (
    "--headless=new", "--remote-debugging-port=0", "--no-first-run", "--disable-background-networking", "--disable-gpu",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--mute-audio", "--disable-dev-shm-usage",
)  # fmt: skip


@dataclass
class Tab:
    """One page. `loaded` are the addresses of all requests it made, `referrers` where it said to come from with them,
    `complaints` what the browser refused or disliked, `loads` how many pages were there, whole.
    """

    socket: aiohttp.ClientWebSocketResponse
    loaded: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    referrers: list[str] = field(default_factory=list)
    loads: int = 0  # pages that were loaded whole
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    async def open(self, url: str) -> None:
        """Go there and wait until everything is loaded."""
        self.loaded.clear()
        await self._ask("Page.navigate", url=url)
        async with asyncio.timeout(SECONDS_MAX):
            while (await self._hear()).get("method") != "Page.loadEventFired":
                pass

    async def go_on(self, expression: str, *, to: str) -> None:
        """Do what leads elsewhere, and return when an address that begins with `to` is there, whole."""
        await self._answer("Runtime.evaluate", expression=expression)
        is_there = f"location.href.startsWith({json.dumps(to)}) && document.readyState === 'complete'"
        async with asyncio.timeout(SECONDS_MAX):
            while True:
                loads = self.loads
                # No answer but an error: the page that was asked has just gone.
                answer = await self._answer("Runtime.evaluate", expression=is_there, returnByValue=True)
                if answer.get("result", {}).get("result", {}).get("value") is True:
                    return
                while self.loads == loads:
                    await self._hear()

    async def evaluate(self, expression: str) -> Any:
        """What an expression is worth on the page."""
        answer = await self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    async def begin(self) -> None:
        for domain in ("Page", "Network", "Log", "Runtime"):
            await self._ask(f"{domain}.enable")

    async def _answer(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        await self.socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(SECONDS_MAX):
            while (heard := await self._hear()).get("id") != number:
                pass
        return heard

    async def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        heard = await self._answer(method, **params)
        assert "error" not in heard, heard
        result = heard["result"]
        assert isinstance(result, dict)
        return result

    async def _hear(self) -> dict[str, Any]:
        heard: dict[str, Any] = await self.socket.receive_json()
        match heard.get("method"):
            case "Network.requestWillBeSent":
                self.loaded.append(heard["params"]["request"]["url"])
                self.referrers.append(heard["params"]["request"]["headers"].get("Referer", ""))
            case "Page.loadEventFired":
                self.loads += 1
            case "Log.entryAdded":
                self.complaints.append(heard["params"]["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.complaints.append(str(heard["params"]["exceptionDetails"]))
            case _:
                pass
        return heard


@contextlib.asynccontextmanager
async def a_tab(folder: Path) -> AsyncIterator[Tab]:
    """A fresh browser with one empty tab; its profile is in `folder`."""
    assert PROGRAM is not None
    as_root = ("--no-sandbox",) if os.geteuid() == 0 else ()
    process = await asyncio.create_subprocess_exec(
        PROGRAM, *_OPTIONS, *as_root, f"--user-data-dir={folder}", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port = await _port(folder / "DevToolsActivePort")
        async with (
            aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
            session.put("/json/new?about:blank") as answer,
        ):
            address = (await answer.json(content_type=None))["webSocketDebuggerUrl"]
            async with session.ws_connect(address, max_msg_size=0) as socket:
                tab = Tab(socket)
                await tab.begin()
                yield tab
    finally:
        process.terminate()
        await process.wait()


async def _port(file: Path) -> int:
    async with asyncio.timeout(SECONDS_MAX):
        while not await asyncio.to_thread(_has_text, file):
            await asyncio.sleep(0.05)
    return int((await asyncio.to_thread(file.read_text, encoding="utf-8")).split("\n")[0])


def _has_text(file: Path) -> bool:
    return file.exists() and "\n" in file.read_text(encoding="utf-8")
