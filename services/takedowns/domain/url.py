"""One form for all spellings of a URL, and a key made of it: canonicalisation, version 1. What makes a URL invalid, and the guard of
a creator's own profiles.

Every table here decides what counts as the same URL: it is frozen with `CANON_VERSION`, also where it looks like data about hosts.
Changing one is version 2, which needs both keys at look-ups while stored rows are hashed anew.
"""

import hashlib
import ipaddress
import re
from collections.abc import Iterable
from typing import Final

import can_ada
import msgspec
from publicsuffixlist import PublicSuffixList

CANON_VERSION: Final = 1
URL_LENGTH_MAX: Final = 2_048  # code points (Seed C)
KEY_BYTES: Final = 16
HOST_LENGTH_MAX: Final = 253
LABEL_LENGTH_MAX: Final = 63
HOSTS_REMEMBERED_MAX: Final = 65_536

_SPACE: Final = " \t\r\n\f"
# A browser's parser would delete some of these silently, and others make two URLs look like one.
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]")
_SCHEME: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):(//)?")
_WEB: Final = frozenset({"http:", "https:"})
_OPAQUE: Final = frozenset(
    ["javascript", "data", "blob", "mailto", "ftp", "file", "about", "magnet", "tel", "sms", "ws", "wss"]
)
_AUTHORITY_END: Final = re.compile(r"[/?#]")
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})?")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_DEFAULT_PORTS: Final = frozenset({"", "80", "443"})

_FOLDED_HOSTS: Final = {
    "twitter.com": "x.com", "mobile.twitter.com": "x.com", "mobile.x.com": "x.com",
    **{f"{name}.reddit.com": "reddit.com" for name in ("old", "new", "np", "m", "i")},
    "telegram.me": "t.me", "telegram.dog": "t.me",
}  # fmt: skip
_LANGUAGE_HOST: Final = re.compile(r"[a-z]{2}\.((?:pornhub|xvideos|xhamster|redtube|youporn)\.com)")
_TELEGRAM: Final = "t.me"
_X: Final = "x.com"
_KEYS_IN_FRAGMENT: Final = frozenset({"mega.nz", "mega.io"})  # the decryption key lives there
_TRACKERS: Final = frozenset(
    [
        "fbclid",
        "gclid",
        "gclsrc",
        "dclid",
        "gbraid",
        "wbraid",
        "msclkid",
        "yclid",
        "twclid",
        "ttclid",
        "igsh",
        "igshid",
        "mc_cid",
        "mc_eid",
        "_ga",
        "_gl",
        "ref_src",
        "ref_url",
        "si",
        "spm",
    ]
)
_TRACKERS_OF_X: Final = _TRACKERS | {"s", "t"}

_PLATFORM_HOSTS: Final = {
    "twitter": _X,
    **{
        name: f"{name}.com"
        for name in (
            "onlyfans", "fansly", "fanvue", "manyvids", "chaturbate", "stripchat", "cam4", "bongacams", "livejasmin",
            "camsoda", "patreon", "instagram", "tiktok", "reddit", "pornhub", "xvideos", "xhamster",
        )
    },
}  # fmt: skip
_PROFILE_FOLDERS: Final = frozenset(["user", "u", "users", "model", "models", "pornstar", "profile", "profiles"])


class InvalidUrlError(Exception):
    """A URL that is not taken. `reason` is for the caller; `shown_host` its host, if it could be told."""

    def __init__(self, reason: str, shown_host: str = "") -> None:
        self.reason = reason
        self.shown_host = shown_host
        super().__init__(reason)


class Host(msgspec.Struct, frozen=True):
    """What a host name says."""

    shown: str  # in `byHost`
    key: str  # folded: in the text
    site: str  # the registrable domain; of an address the address
    reason: str = ""  # why URLs of it are not taken


class CanonicalUrl(msgspec.Struct, frozen=True, gc=False):
    """A URL in its one form. `href` is what a browser would open: for notices and checks, never the folded text."""

    href: str
    host: Host
    path: str
    text: str

    @property
    def key(self) -> bytes:
        """16 bytes that are the same for all spellings. SHA-256, so that nobody can choose a collision."""
        return hashlib.sha256(b"\x01" + self.text.encode()).digest()[:KEY_BYTES]


class UrlReader:
    """Reads URLs as browsers do. `denied_hosts` (with all below them) are never taken: our own, and who asked to be left out.

    `extra_suffixes`: names that count as public suffixes beside the shipped list; for tests.
    """

    def __init__(self, denied_hosts: Iterable[str] = (), *, extra_suffixes: Iterable[str] = ()) -> None:
        self._denied = frozenset(host.lower() for host in denied_hosts)
        self._extra = frozenset(extra_suffixes)
        self._private = PublicSuffixList(accept_unknown=False)
        self._icann = PublicSuffixList(accept_unknown=False, only_icann=True)
        self._hosts: dict[str, Host] = {}

    def read(self, raw: str) -> CanonicalUrl:
        """The one form of `raw`. Raises InvalidUrlError, and nothing else, for any text."""
        if len(raw) > URL_LENGTH_MAX:
            raise InvalidUrlError("too_long")
        url = _parse(raw)
        host = self.host(url.hostname)
        if "@" in raw and (url.username or url.password):
            raise InvalidUrlError("userinfo", host.shown)
        if host.reason:
            raise InvalidUrlError(host.reason, host.shown)
        path = _normal(url.pathname)
        if host.key == _TELEGRAM:
            while path.startswith("/s/") and len(path) > len("/s/"):
                path = path[2:]
        query = _query(_normal(url.search), _TRACKERS_OF_X if host.key == _X else _TRACKERS)
        fragment = url.hash
        if not (fragment.startswith(("#!", "#/")) or (fragment and host.key in _KEYS_IN_FRAGMENT)):
            fragment = ""
        port = "" if url.port in _DEFAULT_PORTS else f":{url.port}"
        return CanonicalUrl(url.href, host, path, f"{host.key}{port}{path}{query}{fragment}")

    def host(self, name: str) -> Host:
        """What the host of a parsed URL says; remembered, for batches are of few hosts."""
        known = self._hosts.get(name)
        if known is None:
            if len(self._hosts) >= HOSTS_REMEMBERED_MAX:
                self._hosts.clear()
            known = self._hosts[name] = self._judge(name.rstrip("."))
        return known

    def _judge(self, name: str) -> Host:
        address = _address(name)
        if address is not None:
            text = f"[{address}]" if address.version == 6 else str(address)
            is_public = address.is_global and not address.is_multicast
            reason = "" if is_public else "private_address"
            return Host(text, text, text, reason or self._denial(text))
        labels = name.split(".")
        if len(name) > HOST_LENGTH_MAX or not all(0 < len(label) <= LABEL_LENGTH_MAX for label in labels):
            return Host("", "", "", "bad_host")
        site = self._site(name, labels)
        if not site:
            return Host(name, name, name, "unknown_tld")
        shown = name
        while shown.startswith("www.") and shown != site and shown.removeprefix("www.").endswith(site):
            shown = shown.removeprefix("www.")  # all of them: the form of a form is itself
        key = _FOLDED_HOSTS.get(shown, shown)
        language = _LANGUAGE_HOST.fullmatch(key)
        return Host(shown, language[1] if language else key, site, self._denial(name))

    def _site(self, name: str, labels: list[str]) -> str:
        if labels[-1] == "onion":  # the list has it, the web has not
            return ""
        if labels[-1] in self._extra:
            return ".".join(labels[-2:]) if len(labels) > 1 else ""
        # A host that is itself a private suffix (github.io) is a site all the same.
        return self._private.privatesuffix(name) or self._icann.privatesuffix(name) or ""

    def _denial(self, name: str) -> str:
        labels = name.split(".")
        is_denied = any(".".join(labels[at:]) in self._denied for at in range(len(labels)))
        return "denied_host" if is_denied else ""


class OwnProfiles:
    """A creator's official profiles: a notice against one of them would be a false one, and harm whom it should protect."""

    def __init__(self, links: Iterable[tuple[str, str]], reader: UrlReader) -> None:
        """`links` are (platform, handle); of platform `other` the handle may be a URL."""
        self._handles: set[tuple[str, str]] = set()
        self._places: list[tuple[str, str]] = []
        for platform, handle in links:
            host = _PLATFORM_HOSTS.get(platform)
            if host is not None:
                self._handles.add((host, handle.casefold()))
                continue
            try:
                place = reader.read(handle)
            except InvalidUrlError:
                continue  # a name without a place
            self._places.append((place.host.key, place.path.rstrip("/").casefold()))
        self._hosts = {host for host, _ in (*self._handles, *self._places)}

    def has(self, url: CanonicalUrl) -> bool:
        """Whether `url` is on one of them: `/h`, `/@h`, `/user/h` and what is below."""
        if url.host.key not in self._hosts:
            return False
        segments = url.path.casefold().split("/")[1:3]
        first = segments[0].removeprefix("@")
        if (url.host.key, first) in self._handles:
            return True
        if first in _PROFILE_FOLDERS and len(segments) > 1 and (url.host.key, segments[1]) in self._handles:
            return True
        path = f"{url.path.casefold()}/"
        return any(host == url.host.key and path.startswith(f"{place}/") for host, place in self._places)


def _parse(raw: str) -> can_ada.URL:
    """What a browser would make of `raw`, or of `https://` and `raw` where it names a host only. Raises InvalidUrlError."""
    text = raw.strip(_SPACE)
    if not text:
        raise InvalidUrlError("empty")
    if not text.isprintable() and _CONTROL.search(
        text
    ):  # all of these are unprintable, and the first question is cheap
        raise InvalidUrlError("control_chars")
    url = _parsed(text)
    if url is not None and url.protocol in _WEB:
        return url
    scheme = _SCHEME.match(text)
    if scheme is not None:
        name = scheme[1].lower()
        if f"{name}:" in _WEB:
            raise InvalidUrlError("unparsable")
        if scheme[2] or name in _OPAQUE:
            raise InvalidUrlError("scheme")
    # `example.com:8080/a` was read as scheme `example.com:`; `//example.com/a` and `example.com/a` not at all.
    bare = text.lstrip("/")
    if "." not in _AUTHORITY_END.split(bare, maxsplit=1)[0]:
        raise InvalidUrlError("unparsable")
    url = _parsed(f"https://{bare}")
    if url is None:
        raise InvalidUrlError("unparsable")
    return url


def _parsed(text: str) -> can_ada.URL | None:
    try:
        return can_ada.parse(text)
    except (ValueError, TypeError):  # TypeError: half a surrogate pair is no text that can be encoded
        return None


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if not (name.startswith("[") or name.rpartition(".")[2].isdigit()):
        return None
    try:
        address = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _normal(part: str) -> str:
    """Path or query with stray `%` escaped, escapes in capitals, and none where none is needed."""
    return _ESCAPE.sub(_escape, part) if "%" in part else part


def _escape(found: re.Match[str]) -> str:
    digits = found[1]
    if digits is None:
        return "%25"
    character = chr(int(digits, 16))
    return character if character in _UNRESERVED else f"%{digits.upper()}"


def _query(search: str, trackers: frozenset[str]) -> str:
    """The query without trackers, in the order of names; a name's values keep theirs. Only ever of a normal form: sorted before
    escapes are undone, a second pass would sort anew.
    """
    if len(search) <= 1:
        return ""
    kept = []
    for part in search[1:].split("&"):
        name = part.partition("=")[0]
        if part and name not in trackers and not name.startswith("utm_"):
            kept.append((name, part))
    if not kept:
        return ""
    if len(kept) > 1:
        kept.sort(key=_name)
    return "?" + "&".join([part for _, part in kept])


def _name(named: tuple[str, str]) -> str:
    return named[0]
