"""Where an endpoint of webhooks may lie, as far as its URL tells. Whom its name leads to is looked up by the gateway, when it is
saved and on every attempt.
"""

import ipaddress
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from services.auth.domain.errors import InvalidRequest

URL_CHARACTERS_MAX: Final = 2_048
PORT: Final = 443  # the only one that processes of auth may speak to outside


def checked_url(url: str, *, is_strict: bool) -> str:
    """`url` if it may be an endpoint's; else InvalidRequest saying why. Not `is_strict` (development): also http and any port."""
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url or len(url) > URL_CHARACTERS_MAX:
        raise InvalidRequest(f"url: at most {URL_CHARACTERS_MAX} ASCII characters without spaces")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidRequest("url: this is no URL") from None
    if parts.scheme != "https" and (is_strict or parts.scheme != "http"):
        raise InvalidRequest("url: it begins with https://")
    host = parts.hostname or ""
    if not host or parts.username is not None or parts.password is not None or "#" in url:
        raise InvalidRequest("url: a host is expected, and no user, password or fragment")
    if is_strict and port not in {None, PORT}:
        raise InvalidRequest(f"url: the port is {PORT}")
    if is_strict and not _is_name(host):
        raise InvalidRequest("url: the host is a name in the public internet, not an address")
    return url


def _is_name(host: str) -> bool:
    """Whether `host` can be a public name: labels with a dot between, the last not a number in any spelling."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        last = host.rstrip(".").rpartition(".")[2]
        return "." in host.strip(".") and last.isalnum() and not last[0].isdigit() and ":" not in host
    return False


def is_under(url: str, domains: Collection[str]) -> bool:
    """Whether the URL's host is one of `domains` or lies below one."""
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    return any(host == domain or host.endswith("." + domain) for domain in domains)
