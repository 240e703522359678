"""JSON for an interface of the world that must not be told twice: once, and exactly what became of it. Whose word it was that something
was not taken for good differs from interface to interface, and is left to the caller.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from libs.common.http.client import HttpClient
from libs.common.http.connection import HttpAnswer, HttpError
from services.takedowns.domain.notice_errors import MailDeferred, MailUncertain

TIMEOUT_SECONDS: Final = 30.0
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_LATER: Final = frozenset({408, 425, 429, 503})  # certainly not taken


def base_of(url: str) -> str:
    """`url` without a slash at its end. Raises ValueError where a token would travel in the clear."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ValueError("a token travels over https:// only")
    return url.rstrip("/")


async def post_once(http: HttpClient, url: str, body: Any, *, token: Mapping[str, str]) -> HttpAnswer:
    """The answer, below 500. `token` is the header with it. Raises MailDeferred (certainly not taken, may be tried again) and
    MailUncertain (it may have been taken).
    """
    headers = {**token, "Content-Type": "application/json", "Accept": "application/json"}
    try:
        answer = await http.request(
            "POST", url, headers=headers, body=msgspec.json.encode(body), timeout_s=TIMEOUT_SECONDS
        )
    except HttpError as exc:
        if exc.may_have_left:
            raise MailUncertain(type(exc).__name__) from exc
        raise MailDeferred(421, f"not reached: {type(exc).__name__}") from exc
    if answer.status in _LATER:
        raise MailDeferred(answer.status, "it wants this later")
    if answer.status >= 500:
        raise MailUncertain(f"answered {answer.status}")
    return answer
