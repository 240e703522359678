"""Which version of the API a request asks for: row 5 of the order of checks, and what answers say about its life."""

from collections.abc import Mapping
from email.utils import format_datetime
from typing import Final

import msgspec
from multidict import CIMultiDictProxy

from libs.common.clock import Clock
from libs.common.telemetry.metrics import Counter
from services.edge.domain.catalogue import Route
from services.edge.domain.refusal import Refusal
from services.edge.domain.versions import Stage, Version, Versions
from services.edge.entry.surface import Surface

VERSION_HEADERS: Final = ("X-API-Version", "X-Fanvue-API-Version")  # one meaning; both may be sent if they agree
NEXT_HEADERS: Final = ("X-API-Next-Version", "X-Fanvue-API-Next-Version")
PAGE: Final = "/docs/versions"  # for people: what changed with each, and until when it works

REQUESTS = Counter(
    "fangate_version_requests_total", "Calls by the version they were answered in", ["surface", "version"]
)


class Spoken(msgspec.Struct, frozen=True):
    """The version to answer in, and the headers that say so; empty with a `refusal`, which is not raised: it is counted like
    any call. A 410 has headers too, and `asked` still tells which version it was.
    """

    version: str
    asked: str
    headers: Mapping[str, str]
    refusal: Refusal | None = None


_NONE: Final[Mapping[str, str]] = {}


class RequestedVersions:
    """The versions there are, as requests name them."""

    def __init__(self, versions: Versions, clock: Clock) -> None:
        self._versions = versions
        self._clock = clock
        self._headers: dict[tuple[str, str, Stage, str], Mapping[str, str]] = {}
        self._counts: dict[tuple[str, str], Counter] = {}

    def __call__(
        self, headers: CIMultiDictProxy[str], surface: Surface, route: Route, pinned: str | None
    ) -> Spoken:  # fmt: skip
        """What `route` of `surface` was asked for in; `pinned` is the version on the caller's key."""
        asked = {value for name in VERSION_HEADERS for value in headers.getall(name, ())}
        if len(asked) > 1:
            name = surface.version_headers[0]
            return self._refused(surface, Refusal("INVALID_REQUEST", f"{name}: different versions were asked for"))
        if asked:
            text = asked.pop()
            version = self._versions.get(text)
            if version is None:
                # `ascii`: a header may carry bytes that are no text
                text = f"API version {text[:32]!a} is not supported"
                return self._refused(surface, Refusal("UNSUPPORTED_VERSION", text))
        elif route.requires_version:
            text = f"The header {surface.version_headers[0]} is required, with a date such as 2025-06-26"
            return self._refused(surface, Refusal("VERSION_REQUIRED", text))
        else:
            version = self._versions.default(pinned)
        return self._spoken(surface, version)

    def _spoken(self, surface: Surface, version: Version) -> Spoken:
        now = self._clock.now()
        stage = version.stage(now)
        self._count(surface, version.date)
        following = "" if stage is Stage.ACTIVE else self._versions.after(version, now)
        headers = self._headers.get((surface.name, version.date, stage, following))
        if headers is None:
            headers = _said(surface, version, stage, following)
            self._headers[surface.name, version.date, stage, following] = headers
        if stage is not Stage.SUNSET:
            return Spoken(version.date, version.date, headers)
        assert version.sunset_at is not None
        text = f"API version no longer supported: {version.date} ended on {version.sunset_at.date()}, use {following}"
        return Spoken("", version.date, headers, Refusal("VERSION_SUNSET", text, next_version=following))

    def _refused(self, surface: Surface, refusal: Refusal) -> Spoken:
        self._count(surface, "none")
        return Spoken("", "", _NONE, refusal)

    def _count(self, surface: Surface, version: str) -> None:
        count = self._counts.get((surface.name, version))
        if count is None:
            count = self._counts[surface.name, version] = REQUESTS.labels(surface.name, version)
        count.inc()


def _said(surface: Surface, version: Version, stage: Stage, following: str) -> Mapping[str, str]:
    """What answers say of `version`; of an ended one, too, where to go."""
    if stage is Stage.ACTIVE:
        return dict.fromkeys(surface.version_headers, version.date)
    page = f"<{PAGE}#v{version.date}>"
    links = [
        f'{page}; rel="deprecation"; type="text/html"',
        f'<{surface.prefix}/openapi.json?version={following}>; rel="successor-version"',
    ]
    said = dict.fromkeys(NEXT_HEADERS, following)
    if version.sunset_at is not None:
        said["Sunset"] = format_datetime(version.sunset_at, usegmt=True)  # RFC 8594
        links.insert(1, f'{page}; rel="sunset"; type="text/html"')
    said["Link"] = ", ".join(links)
    if stage is Stage.DEPRECATED:
        assert version.deprecated_at is not None
        said["Deprecation"] = f"@{int(version.deprecated_at.timestamp())}"  # RFC 9745
        said |= dict.fromkeys(surface.version_headers, version.date)
    return said
