"""Apps of third parties: what one may be called, where it may send people, and whom it serves.

An app begins in development: it serves the user who answers for it and nobody else, and may use loopback redirects. In production
every host that it names lies under a domain that its owner has shown to control (R150).
"""

import enum
import ipaddress
import re
import uuid
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec
from publicsuffixlist import PublicSuffixList

from services.auth.domain.errors import Conflict, InvalidRequest
from services.auth.domain.organization import OrganizationState, UserState

APPS_MAX: Final = 5  # of one user
NAME_CHARACTERS_MAX: Final = 60
URLS_MAX: Final = 10
URL_CHARACTERS_MAX: Final = 2_000
DOMAINS_MAX: Final = 10  # of one app
SECRETS_MAX: Final = 2  # live at once, while one takes the other's place
OVERLAP_SECONDS_MAX: Final = 86_400
OUR_NAME: Final = "fangate"  # an app that borrows it looks like ours

_SUFFIXES: Final = PublicSuffixList()
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})+")
_PLAIN: Final = re.compile(r"[!-~]+")  # printable ASCII without blanks: what a header can carry


class Stage(enum.StrEnum):
    """Whom an app serves: its owner, or everybody."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class AppState(enum.StrEnum):
    """Whether an app may act. Deleted is final."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETED = "deleted"


class Method(enum.StrEnum):
    """How the control of a domain is shown."""

    DNS = "dns"
    WELL_KNOWN = "well_known"


class Domain(msgspec.Struct, frozen=True, kw_only=True):
    """A domain of an app; `method` is None until it was shown."""

    domain: str
    token: str
    created_at: datetime
    method: Method | None = None
    verified_at: datetime | None = None


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """A client secret's row; the secret itself cannot be read back."""

    secret_id: uuid.UUID
    digest: str  # 64 hex digits, under `pepper`
    pepper: str
    start: str
    created_at: datetime
    expires_at: datetime | None = None

    def is_live(self, now: datetime) -> bool:
        return self.expires_at is None or self.expires_at > now


class App(msgspec.Struct, frozen=True, kw_only=True):
    """An app; `app_id` is its client id too."""

    app_id: uuid.UUID
    org_id: uuid.UUID
    user_id: uuid.UUID  # who answers for it
    name: str
    is_confidential: bool
    redirect_uris: tuple[str, ...]
    created_at: datetime
    webhook_urls: tuple[str, ...] = ()
    stage: Stage = Stage.DEVELOPMENT
    state: AppState = AppState.ACTIVE


class ListedApp(msgspec.Struct, frozen=True, kw_only=True):
    """An app with what belongs to it."""

    app: App
    domains: tuple[Domain, ...]
    secrets: tuple[Secret, ...]


class KnownClient(msgspec.Struct, frozen=True, kw_only=True):
    """An app as the OAuth endpoints meet it, with the states of those behind it."""

    app: App
    owner: str  # the organization's name
    org_state: OrganizationState
    user_state: UserState
    domains: tuple[str, ...]  # verified
    secrets: tuple[Secret, ...] = ()

    @property
    def may_act(self) -> bool:
        """Whether anything of the app works: the app, its organization and its owner are all in good standing (R184)."""
        return (
            self.app.state is AppState.ACTIVE
            and self.org_state is OrganizationState.ACTIVE
            and self.user_state is UserState.ACTIVE
        )

    def serves(self, user_id: uuid.UUID | None) -> bool:
        return self.app.stage is Stage.PRODUCTION or user_id == self.app.user_id

    def is_redirect(self, uri: str) -> bool:
        return any(matches(registered, uri) for registered in self.app.redirect_uris)


def checked_app_name(name: str) -> str:
    """`name` without blanks around it, if users may be shown it; else InvalidRequest."""
    name = name.strip()
    if not name or len(name) > NAME_CHARACTERS_MAX or not name.isprintable():
        raise InvalidRequest(f"name: 1 to {NAME_CHARACTERS_MAX} printable characters")
    if OUR_NAME in name.casefold():
        raise InvalidRequest("name: an app is not called after this gateway")
    return name


def checked_redirects(uris: Collection[str], stage: Stage) -> tuple[str, ...]:
    """`uris` if people may be sent there: https, a host by name, no fragment, user name or wildcard; in development also loopback
    addresses over http. Raises InvalidRequest naming the one that may not.
    """
    if not 1 <= len(uris) <= URLS_MAX or len(set(uris)) < len(uris):
        raise InvalidRequest(f"redirect_uris: 1 to {URLS_MAX}, all different")
    for place, uri in enumerate(uris):
        where = f"redirect_uris[{place}]"
        if is_loopback(uri):
            if stage is not Stage.DEVELOPMENT:
                raise InvalidRequest(f"{where}: loopback addresses are for apps in development")
            _parts(uri, where)
        else:
            _check_https(uri, where)
    return tuple(uris)


def checked_webhooks(urls: Collection[str]) -> tuple[str, ...]:
    """`urls` if events may be sent there, by the same rules; there may be none. Raises InvalidRequest."""
    if len(urls) > URLS_MAX or len(set(urls)) < len(urls):
        raise InvalidRequest(f"webhook_urls: at most {URLS_MAX}, all different")
    for place, url in enumerate(urls):
        _check_https(url, f"webhook_urls[{place}]")
    return tuple(urls)


def checked_domain(name: str) -> str:
    """`name` in lower case, if somebody can own it: no address, no public suffix. Raises InvalidRequest."""
    name = name.strip().rstrip(".").lower()
    if not _HOST.fullmatch(name) or _is_address(name) or _SUFFIXES.privatesuffix(name) is None:
        raise InvalidRequest("domain: the name of a domain that somebody can own, like app.example.com")
    return name


def check_hosts(app: App, domains: Iterable[Domain]) -> None:
    """Raise Conflict unless every host that `app` names lies under a verified one of `domains`."""
    verified = [each.domain for each in domains if each.verified_at is not None]
    for url in (*app.redirect_uris, *app.webhook_urls):
        host = urlsplit(url).hostname or ""
        if not any(host == domain or host.endswith(f".{domain}") for domain in verified):
            raise Conflict(f"{host} lies under no verified domain of this app: verify it first")


def check_overlap(seconds: int) -> timedelta:
    """Raise InvalidRequest for an overlap of secrets that is not 0 to 24 h."""
    if not 0 <= seconds <= OVERLAP_SECONDS_MAX:
        raise InvalidRequest(f"overlap_seconds: 0 to {OVERLAP_SECONDS_MAX}")
    return timedelta(seconds=seconds)


def matches(registered: str, asked: str) -> bool:
    """Whether `asked` is the redirect that was registered: the same text, but for the port of a loopback address (RFC 8252
    section 7.3).
    """
    if registered == asked:
        return True
    return is_loopback(registered) and is_loopback(asked) and _without_port(registered) == _without_port(asked)


def is_loopback(uri: str) -> bool:
    """Whether `uri` is http on this machine: by address, for a name can lead elsewhere."""
    parts = _split(uri)
    return parts is not None and parts.scheme == "http" and parts.hostname in {"127.0.0.1", "::1"}


def _without_port(uri: str) -> tuple[str | None, str, str]:
    parts = urlsplit(uri)
    return parts.hostname, parts.path, parts.query


def _check_https(url: str, where: str) -> None:
    parts = _parts(url, where)
    host = parts.hostname or ""
    if parts.scheme != "https":
        raise InvalidRequest(f"{where}: https only")
    if _is_address(host) or not _HOST.fullmatch(host):
        raise InvalidRequest(f"{where}: a host by its name, in ASCII")


def _parts(url: str, where: str) -> SplitResult:
    parts = _split(url)
    if parts is None or not parts.hostname:
        raise InvalidRequest(f"{where}: not a URL of at most {URL_CHARACTERS_MAX} ASCII characters")
    if "#" in url or "*" in url or "\\" in url or parts.username is not None or parts.password is not None:
        raise InvalidRequest(f"{where}: no fragment, no wildcard, no user name")
    return parts


def _split(url: str) -> SplitResult | None:
    if len(url) > URL_CHARACTERS_MAX or not _PLAIN.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises ValueError for one that is none
    except ValueError:
        return None
    return parts


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host.replace(".", "").isdigit()  # `127.1` and the like, which resolvers take for addresses
    return True
