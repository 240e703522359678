"""RDAP (RFC 9082): who registered a domain, who holds an address, and where they hear of abuse. Never in a request's path.

Polite by itself: a token bucket per server, one question per domain at a time, answers kept for days.
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

from libs.common.clock import Clock
from libs.common.http.addresses import Address
from libs.common.http.client import HttpError
from libs.common.http.guarded import GuardedClient
from libs.common.telemetry.metrics import Counter
from services.takedowns.domain.host import Responsible
from services.takedowns.domain.notice_errors import RegistryTrouble
from services.takedowns.gateways.rdap_answers import holder_of, registrar_of, related_link
from services.takedowns.gateways.rdap_bootstrap import Bootstrap

ANSWER_BYTES_MAX: Final = 512 << 10
ANSWER_SECONDS: Final = 10.0
ASKS_PER_MINUTE: Final = 20  # of one server; the strictest registry known allows 10, and answers 429 beyond
FOUND_MS: Final = 7 * 86_400_000
MISSED_MS: Final = 6 * 3_600_000
KEPT_MAX: Final = 10_000
BUSY_SECONDS: Final = 60  # to wait after a 429 that does not say how long
BUSY_SECONDS_MAX: Final = 3_600

ASKED = Counter("fangate_takedowns_rdap_total", "Questions to RDAP servers", ["outcome"])


class RdapBusy(RegistryTrouble):
    """The server wants to be left alone for `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"for {seconds} s", seconds=seconds)


class RdapFailed(RegistryTrouble):
    """No usable answer: it may come another time."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_ms: int
    closed_until_ms: int = 0


class Rdap:
    """The client. One per process: its limits are per process."""

    def __init__(self, http: GuardedClient, bootstrap: Bootstrap, clock: Clock) -> None:
        self._http = http
        self._bootstrap = bootstrap
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}
        self._kept: OrderedDict[str, tuple[int, Responsible]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Responsible]] = {}

    async def registrar(self, domain: str) -> Responsible:
        """The registrar of a registrable domain (ASCII); empty where its registry has no RDAP or does not know the domain.

        Raises RdapBusy, RdapFailed.
        """
        server = self._bootstrap.for_domain(domain)
        if server is None:
            ASKED.labels("no_server").inc()
            return Responsible()
        return await self._once(f"domain/{domain}", lambda: self._ask_domain(server, domain))

    async def holder(self, address: Address) -> Responsible:
        """The holder of an address. Raises RdapBusy, RdapFailed."""
        server = self._bootstrap.for_address(address)
        if server is None:
            ASKED.labels("no_server").inc()
            return Responsible()

        async def ask() -> Responsible:
            answer = await self._ask(f"{server}ip/{address}")
            return holder_of(answer) if answer is not None else Responsible()

        return await self._once(f"ip/{address}", ask)

    async def _once(self, key: str, ask: Callable[[], Awaitable[Responsible]]) -> Responsible:
        """From memory, from a question that is under way, or by a new one."""
        kept = self._kept.get(key)
        if kept is not None and kept[0] > self._clock.now_ms():
            ASKED.labels("kept").inc()
            return kept[1]
        task = self._asking.get(key)
        if task is None:
            task = asyncio.ensure_future(self._keep(key, ask))
            self._asking[key] = task
            task.add_done_callback(lambda done: self._asked(key, done))
        # Shielded: whoever waits may be cancelled, the others still want the answer.
        return await asyncio.shield(task)

    def _asked(self, key: str, task: asyncio.Task[Responsible]) -> None:
        self._asking.pop(key, None)
        if not task.cancelled():
            task.exception()  # looked at, also if everybody who waited was cancelled

    async def _keep(self, key: str, ask: Callable[[], Awaitable[Responsible]]) -> Responsible:
        found = await ask()
        life_ms = FOUND_MS if found.abuse_email else MISSED_MS
        self._kept[key] = (self._clock.now_ms() + life_ms, found)
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        return found

    async def _ask_domain(self, server: str, domain: str) -> Responsible:
        answer = await self._ask(f"{server}domain/{quote(domain, safe='.-')}")
        if answer is None:
            return Responsible()
        found = registrar_of(answer)
        further = related_link(answer)
        if found.abuse_email or further is None:
            return found
        if server.startswith("https://") and not further.startswith("https://"):
            return found  # anybody on the way could name the mailbox we write to
        try:
            theirs = await self._ask(further)  # one hop: the registrar's own answer, where the registry's is thin
        except (RdapBusy, RdapFailed):
            return found
        more = registrar_of(theirs) if theirs is not None else Responsible()
        return Responsible(
            name=found.name or more.name, iana_id=found.iana_id or more.iana_id, abuse_email=more.abuse_email
        )

    async def _ask(self, url: str) -> dict[str, Any] | None:
        """One exchange; None = the server does not know the object."""
        bucket = self._take(urlsplit(url).netloc)
        try:
            got = await self._http.fetch(
                "GET", url, headers={"Accept": "application/rdap+json, application/json"},
                total_s=ANSWER_SECONDS, body_bytes_max=ANSWER_BYTES_MAX,
            )  # fmt: skip
        except HttpError as exc:
            ASKED.labels("unreachable").inc()
            raise RdapFailed(str(exc)) from exc
        if got.status == 404:
            ASKED.labels("unknown").inc()
            return None
        if got.status == 429:
            raise self._close(bucket, got.headers.get("Retry-After", ""))
        if got.status != 200 or got.is_cut:
            ASKED.labels("refused").inc()
            raise RdapFailed("the answer is too large" if got.is_cut else f"status {got.status}")
        return self._judge(got.body, bucket)

    def _judge(self, body: bytes, bucket: _Bucket) -> dict[str, Any]:
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError) as exc:
            # Registries tell of a quota in all kinds of ways, among them plain text with status 200.
            ASKED.labels("not_rdap").inc()
            raise RdapFailed("not JSON") from exc
        if isinstance(answer, dict) and answer.get("errorCode") == 429:
            raise self._close(bucket, "")
        if not isinstance(answer, dict) or answer.get("objectClassName") not in {"domain", "ip network"}:
            ASKED.labels("not_rdap").inc()
            raise RdapFailed("not an RDAP object")
        ASKED.labels("ok").inc()
        return answer

    def _take(self, server: str) -> _Bucket:
        """A turn at `server`. Raises RdapBusy with the seconds until there is one."""
        now_ms = self._clock.now_ms()
        bucket = self._buckets.setdefault(server, _Bucket(tokens=ASKS_PER_MINUTE, filled_ms=now_ms))
        if bucket.closed_until_ms > now_ms:
            raise RdapBusy(1 + (bucket.closed_until_ms - now_ms) // 1_000)
        gained = (now_ms - bucket.filled_ms) * ASKS_PER_MINUTE / 60_000
        bucket.tokens, bucket.filled_ms = min(ASKS_PER_MINUTE, bucket.tokens + gained), now_ms
        if bucket.tokens < 1:
            ASKED.labels("paced").inc()
            raise RdapBusy(1 + int((1 - bucket.tokens) * 60 / ASKS_PER_MINUTE))
        bucket.tokens -= 1
        return bucket

    def _close(self, bucket: _Bucket, retry_after: str) -> RdapBusy:
        ASKED.labels("busy").inc()
        seconds = min(int(retry_after), BUSY_SECONDS_MAX) if retry_after.isdecimal() else BUSY_SECONDS
        bucket.closed_until_ms = self._clock.now_ms() + 1_000 * seconds
        return RdapBusy(seconds)
