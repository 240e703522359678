"""The Lumen database: `POST /notices.json` with a submitter's token, as its own code reads it."""

from typing import Any, Final, Self
from urllib.parse import urlsplit

import msgspec

from libs.common.http.client import HttpClient
from libs.common.http.connection import HttpError
from services.takedowns.domain.notice_errors import MailDeferred, MailRefused, MailUncertain
from services.takedowns.domain.public_copy import PublicCopy

TIMEOUT_SECONDS: Final = 30.0
ANSWER_BYTES_MAX: Final = 256 << 10
NAME_LENGTH_MAX: Final = 200
_LATER: Final = frozenset({408, 425, 429, 503})  # certainly not taken
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Lumen:
    """The port `PublicRecord`. Use `open`."""

    def __init__(self, http: HttpClient, url: str, token: str) -> None:
        self._http, self._url, self._token = http, url, token

    @classmethod
    async def open(cls, *, base_url: str, token: str) -> Self:
        """Raises ValueError, which shows no token."""
        parts = urlsplit(base_url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise ValueError("a token travels over https:// only")
        http = await HttpClient.open(connections_max=2, body_bytes_max=ANSWER_BYTES_MAX)
        return cls(http, f"{base_url.rstrip('/')}/notices.json", token)

    async def close(self) -> None:
        await self._http.close()

    async def publish(self, copy: PublicCopy) -> str:
        """See the port."""
        headers = {
            "X-Authentication-Token": self._token,
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        try:
            answer = await self._http.request(
                "POST", self._url, headers=headers, body=msgspec.json.encode(_fields(copy)), timeout_s=TIMEOUT_SECONDS
            )
        except HttpError as exc:
            if exc.may_have_left:
                raise MailUncertain(type(exc).__name__) from exc
            raise MailDeferred(421, f"not reached: {type(exc).__name__}") from exc
        if answer.status == 201:
            return next((value for name, value in answer.headers.items() if name.lower() == "location"), "")[
                :NAME_LENGTH_MAX
            ]
        if answer.status in _LATER:
            raise MailDeferred(answer.status, "later")
        if 300 <= answer.status < 500:
            raise MailRefused(answer.status, "not taken")
        raise MailUncertain(f"answered {answer.status}")


def _fields(copy: PublicCopy) -> dict[str, Any]:
    return {
        "notice": {
            "title": copy.title,
            "type": "DMCA",
            "date_sent": copy.sent_on,
            "language": copy.language,
            "works_attributes": [
                {"description": copy.work, "infringing_urls_attributes": [{"url": url} for url in copy.urls]}
            ],
            "entity_notice_roles_attributes": [
                {"name": "sender", "entity_attributes": {"name": copy.sender, "kind": "organization"}},
                {"name": "recipient", "entity_attributes": {"name": copy.recipient, "kind": "organization"}},
            ],
        }
    }
