"""The Lumen database: `POST /notices.json` with a submitter's token, as its own code reads it."""

from typing import Any, Final, Self

from libs.common.http.client import HttpClient
from services.takedowns.domain.notice_errors import MailRefused, MailUncertain
from services.takedowns.domain.public_copy import PublicCopy
from services.takedowns.gateways.post_once import base_of, post_once

ANSWER_BYTES_MAX: Final = 256 << 10
NAME_LENGTH_MAX: Final = 200


class Lumen:
    """The port `PublicRecord`. Use `open`."""

    def __init__(self, http: HttpClient, url: str, token: str) -> None:
        self._http, self._url, self._token = http, url, token

    @classmethod
    async def open(cls, *, base_url: str, token: str) -> Self:
        """Raises ValueError, which shows no token."""
        base = base_of(base_url)
        http = await HttpClient.open(connections_max=2, body_bytes_max=ANSWER_BYTES_MAX)
        return cls(http, f"{base}/notices.json", token)

    async def close(self) -> None:
        await self._http.close()

    async def publish(self, copy: PublicCopy) -> str:
        """See the port."""
        answer = await post_once(self._http, self._url, _fields(copy), token={"X-Authentication-Token": self._token})
        if answer.status == 201:
            found = (value for name, value in answer.headers.items() if name.lower() == "location")
            return next(found, "")[:NAME_LENGTH_MAX]
        if answer.status >= 300:
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
