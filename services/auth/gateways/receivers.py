"""Receivers of webhooks: strangers' servers, asked through the guarded session, signed as Standard Webhooks 1.0.0 says.

The guard sits on every socket, so a name that led to a public address when it was saved, and leads inside now, is refused then.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from standardwebhooks import Webhook

from libs.common.http.addresses import Address, is_public
from libs.common.http.client import HttpError
from libs.common.http.guarded import DEFAULT_PORTS, GuardedClient
from services.auth.domain.errors import InvalidRequest
from services.auth.domain.webhook import Heard, Sending

WEBHOOKS_AGENT: Final = "Fangate-Webhooks/1"
TOTAL_SECONDS: Final = 10.0  # of one attempt; a receiver takes the event and works on it later
NAME_SECONDS: Final = 3.0
ERROR_CHARACTERS_MAX: Final = 200

Resolve = Callable[[str], Awaitable[Collection[Address]]]


class GuardedReceivers:
    """The port `Receivers`. `local` are (address, port) pairs of this machine that development may send to."""

    def __init__(
        self, http: GuardedClient, *, local: Collection[tuple[str, int]] = (), resolve: Resolve | None = None
    ) -> None:
        self._http = http
        self._local = frozenset(local)
        self._resolve = resolve or system_addresses

    async def check(self, url: str) -> None:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]
        try:
            async with asyncio.timeout(NAME_SECONDS):
                addresses = await self._resolve(host)
        except TimeoutError:
            addresses = ()
        if not addresses:
            raise InvalidRequest("url: the name of the host leads nowhere")
        if not all(is_public(address) or (str(address), port) in self._local for address in addresses):
            raise InvalidRequest("url: the host is not in the public internet")

    async def send(self, sending: Sending, at: datetime) -> Heard:
        if not sending.secrets:
            return Heard(error="there is no secret to sign with")
        headers = signed(sending, at) | {"Content-Type": "application/json", "Accept": "*/*"}
        try:
            got = await self._http.fetch(
                "POST",
                sending.url,
                headers=headers,
                body=sending.body.encode(),
                total_s=TOTAL_SECONDS,
                redirects_max=0,
                reads_body=False,
            )
        except HttpError as exc:
            return Heard(error=f"{type(exc).__name__}: {exc}"[:ERROR_CHARACTERS_MAX])
        error = "" if 200 <= got.status < 300 else f"answered {got.status}"
        return Heard(status=got.status, retry_after_s=retry_after_s(got.headers, at), error=error)


def signed(sending: Sending, at: datetime) -> dict[str, str]:
    """The three headers; one signature for each secret that is live, the newest first."""
    event_id = str(sending.event_id)
    signatures = [Webhook(secret).sign(event_id, at.astimezone(UTC), sending.body) for secret in sending.secrets]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def retry_after_s(headers: Mapping[str, str], now: datetime) -> int | None:
    """`Retry-After` in seconds, whichever of its two forms it has (RFC 9110 §10.2.3); None for anything else."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return int(text[:9])
    try:
        return max(0, int((parsedate_to_datetime(text) - now).total_seconds()))
    except (ValueError, TypeError):
        return None


async def system_addresses(host: str) -> list[Address]:
    """Where the system's resolver says that a name leads; nowhere if it does not know."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [ipaddress.ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]
