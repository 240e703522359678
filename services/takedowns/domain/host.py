"""Who can remove what is on a host, and how they want to be told: entries of the directory, contacts, and which one counts.

The rows are data (`store/hosts/*.toml`, table `directory`); who owns a domain or an address is found by `gateways/rdap.py`.
"""

import enum
import ipaddress
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from libs.common.contracts.takedowns import HostContact
from services.takedowns.domain.states import Stage

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

RDAP_FRESH: Final = timedelta(days=7)  # an abuse mailbox that a registry named this lately counts as verified
ENTRY_STALE: Final = timedelta(days=180)  # an entry nobody looked at for so long is reported
STALE_METRIC_KINDS: Final = frozenset({"operator", "shipped"})
EMAIL_LENGTH_MAX: Final = 254
URLS_PER_MAIL_MAX: Final = 100


class Method(enum.StrEnum):
    """How a contact takes notices."""

    EMAIL = "email"
    FORM = "form"
    API = "api"
    NONE = "none"


class Kind(enum.StrEnum):
    """What an entry of the directory is."""

    PLATFORM = "platform"
    TUBE = "tube"
    FILEHOST = "filehost"
    FORUM = "forum"
    MESSENGER = "messenger"
    CDN = "cdn"
    REGISTRAR = "registrar"
    HOSTING = "hosting"
    SEARCH = "search"


INFRASTRUCTURE: Final = frozenset({Kind.CDN, Kind.REGISTRAR, Kind.HOSTING, Kind.SEARCH})  # they never speak for a site


class Source(enum.StrEnum):
    """Where a contact is known from."""

    OPERATOR = "operator"
    SHIPPED = "shipped"
    LEARNED = "learned"
    RDAP = "rdap"
    GUESS = "guess"


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of the directory. `match`: hosts, exact, or a suffix with a dot in front."""

    id: str
    name: str
    match: tuple[str, ...]
    kind: Kind
    takedown_method: Method
    source: Source = Source.SHIPPED
    dmca_email: str | None = None
    form_url: str | None = None
    api: str | None = None
    ncii_form_url: str | None = None
    requires: tuple[str, ...] = ()  # `legal_name`, `signed_authority`: what the host asks for beyond the six elements
    max_urls_per_notice: int | None = None
    same_hostname_only: bool = False
    attachments_ok: bool = False
    language: str = "en"
    ack_sla_h: int | None = None
    escalate_after_h: int | None = None
    compliance: str = "ok"  # ok | slow | ignores | futile
    removed_markers: tuple[str, ...] = ()  # texts of pages whose content is gone
    live_markers: tuple[str, ...] = ()  # texts that only pages with content have
    source_url: str | None = None
    confidence: str = "low"  # high | medium | low
    verified_at: datetime | None = None
    verified_by: str | None = None
    notes: str | None = None


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to write to, and what vouches for it."""

    name: str
    method: Method
    source: Source
    email: str | None = None
    form_url: str | None = None
    ncii_form_url: str | None = None
    api: str | None = None
    verified_at: datetime | None = None
    entry_id: str | None = None
    requires: tuple[str, ...] = ()
    urls_max: int = URLS_PER_MAIL_MAX
    same_hostname_only: bool = False
    attachments_ok: bool = False
    language: str = "en"
    escalate_after_h: int | None = None


class HostFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a host: the row of `hosts`."""

    host: str
    site: str
    registrar_name: str | None = None
    registrar_email: str | None = None
    hoster_name: str | None = None
    hoster_email: str | None = None
    cdn: str | None = None  # id of the directory's entry
    resolved_at: datetime | None = None


class Responsible(msgspec.Struct, frozen=True, kw_only=True):
    """Who is responsible for a domain (its registrar) or a network (its holder), and where abuse is told."""

    name: str | None = None
    iana_id: int | None = None
    abuse_email: str | None = None


def is_of(entry: Entry, host: str) -> bool:
    """Whether `entry` speaks for `host`."""
    return any(
        host == name or host == name[1:] or host.endswith(name) if name[0] == "." else host == name
        for name in entry.match
    )


def rank(source: Source, verified_at: datetime | None) -> int:
    """Which of two contacts counts: the smaller one. What an operator wrote beats all; what is shipped beats what replies
    taught only if somebody verified it; after that what registries say, and last the mailbox of RFC 2142.
    """
    if source is Source.SHIPPED:
        return 1 if verified_at else 3
    return {Source.OPERATOR: 0, Source.LEARNED: 2, Source.RDAP: 4, Source.GUESS: 5}[source]


def best_entry(entries: Iterable[Entry], host: str) -> Entry | None:
    """The entry that counts for `host`: by rank, then by the longest match."""
    found = [entry for entry in entries if is_of(entry, host)]
    return min(
        found, key=lambda entry: (rank(entry.source, entry.verified_at), -_match_length(entry, host)), default=None
    )


def contact_of(entry: Entry) -> Contact:
    """The contact in an entry."""
    return Contact(
        name=entry.name,
        method=entry.takedown_method,
        source=entry.source,
        email=entry.dmca_email,
        form_url=entry.form_url,
        ncii_form_url=entry.ncii_form_url,
        api=entry.api,
        verified_at=entry.verified_at,
        entry_id=entry.id,
        requires=entry.requires,
        urls_max=min(entry.max_urls_per_notice or URLS_PER_MAIL_MAX, URLS_PER_MAIL_MAX),
        same_hostname_only=entry.same_hostname_only,
        attachments_ok=entry.attachments_ok or entry.kind in {Kind.HOSTING, Kind.REGISTRAR},
        language=entry.language,
        escalate_after_h=entry.escalate_after_h,
    )


def contact_at(stage: Stage, facts: HostFacts, entries: Iterable[Entry]) -> Contact | None:
    """Whom to tell at `stage`, or None: there is nobody, go on to the next stage."""
    entries = tuple(entries)
    if stage is Stage.SITE:
        entry = best_entry((e for e in entries if e.kind not in INFRASTRUCTURE), facts.host)
        return contact_of(entry) if entry else _guess(facts)
    if stage is Stage.SEARCH:
        entry = next((e for e in entries if e.kind is Kind.SEARCH), None)
        return contact_of(entry) if entry else None
    if stage is Stage.HOSTING and facts.cdn is not None:
        entry = next((e for e in entries if e.id == facts.cdn), None)
        if entry is not None:
            return contact_of(entry)  # it names the origin's host in its answer; its own network is not the host
    name, email = (
        (facts.hoster_name, facts.hoster_email)
        if stage is Stage.HOSTING
        else (facts.registrar_name, facts.registrar_email)
    )
    if not email:
        return None
    kind = Kind.HOSTING if stage is Stage.HOSTING else Kind.REGISTRAR
    known = best_entry((e for e in entries if e.kind is kind), email.rpartition("@")[2])
    if known is not None and rank(known.source, known.verified_at) < rank(Source.RDAP, None) and known.verified_at:
        return contact_of(known)
    return Contact(
        name=name or email,
        method=Method.EMAIL,
        source=Source.RDAP,
        email=email,
        verified_at=facts.resolved_at,
        attachments_ok=True,
    )


def stages_of(compliance: str) -> tuple[Stage, ...]:
    """The ladder for a host. Writing to a site that is known to ignore it would only lose days."""
    return tuple(Stage)[1:] if compliance == "futile" else tuple(Stage)


def is_verified(contact: Contact, stage: Stage, now: datetime) -> bool:
    """Whether `contact` may be mailed without a person: somebody looked at it, or (hosts and registrars only) a registry
    named it in the last seven days. A learned value and a guess never may.
    """
    if contact.verified_at is None or contact.source in {Source.LEARNED, Source.GUESS}:
        return False
    if contact.source is Source.RDAP:
        return stage in {Stage.HOSTING, Stage.REGISTRAR} and now - contact.verified_at <= RDAP_FRESH
    return True


def is_stale(entry: Entry, now: datetime) -> bool:
    """Whether somebody should look at the entry again."""
    return entry.source in STALE_METRIC_KINDS and (entry.verified_at is None or now - entry.verified_at > ENTRY_STALE)


def on_the_wire(contact: Contact | None, facts: HostFacts) -> HostContact | None:
    """What callers are told of a host (`byHost[h].contact`). A guess is nothing to tell."""
    if contact is None or contact.source is Source.GUESS:
        return None
    if contact.method is Method.EMAIL:
        return HostContact(
            takedown_method=Method.EMAIL,
            dmca_email=contact.email,
            registrar_name=facts.registrar_name,
            registrar_email=facts.registrar_email,
        )
    form_url = contact.form_url if contact.method is Method.FORM else None
    return HostContact(takedown_method=contact.method, form_url=form_url)


def _guess(facts: HostFacts) -> Contact:
    """RFC 2142 §4. Never mailed without a person."""
    return Contact(name=facts.site, method=Method.EMAIL, source=Source.GUESS, email=f"abuse@{facts.site}")


def _match_length(entry: Entry, host: str) -> int:
    return max(
        len(name) for name in entry.match if host == name.lstrip(".") or (name[0] == "." and host.endswith(name))
    )
