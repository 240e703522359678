"""Who is told, at which stage, and whether without a person."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from libs.common.contracts.takedowns import HostContact
from services.takedowns.domain.host import (
    RDAP_FRESH,
    Contact,
    Entry,
    HostFacts,
    Kind,
    Method,
    Source,
    best_entry,
    contact_at,
    contact_of,
    is_of,
    is_stale,
    is_verified,
    on_the_wire,
    stages_of,
)
from services.takedowns.domain.states import Stage

NOW = datetime(2026, 11, 20, tzinfo=UTC)
FACTS = HostFacts(
    host="cdn.leaks.example", site="leaks.example", registrar_name="R", registrar_email="abuse@r.example", hoster_name="H",
    hoster_email="abuse@h.example", resolved_at=NOW,
)  # fmt: skip


def an_entry(**changes: Any) -> Entry:
    entry = Entry(
        id="e",
        name="E",
        match=(".leaks.example",),
        kind=Kind.TUBE,
        takedown_method=Method.EMAIL,
        dmca_email="dmca@leaks.example",
    )
    return msgspec.structs.replace(entry, **changes)


@pytest.mark.parametrize(
    ("match", "host", "is_its"),
    [
        ("e.com", "e.com", True), ("e.com", "www.e.com", False), (".e.com", "e.com", True), (".e.com", "a.b.e.com", True),
        (".e.com", "notre.com", False), (".e.com", "note.com", False), ("e.com", "e.com.evil.example", False),
    ],
)  # fmt: skip
def test_an_entry_speaks_for_its_hosts_only(match: str, host: str, is_its: bool) -> None:
    assert is_of(an_entry(match=(match,)), host) is is_its


def test_precedence() -> None:
    sources = [
        an_entry(id="operator", source=Source.OPERATOR),
        an_entry(id="verified", source=Source.SHIPPED, verified_at=NOW),
        an_entry(id="learned", source=Source.LEARNED),
        an_entry(id="shipped", source=Source.SHIPPED),
    ]
    for start in range(len(sources)):
        left = sources[start:]
        for order in (left, left[::-1]):
            best = best_entry(order, "leaks.example")
            assert best is not None
            assert best.id == left[0].id
    assert best_entry(sources, "other.example") is None


def test_among_equals_the_longer_match_counts() -> None:
    entries = [an_entry(id="wide"), an_entry(id="narrow", match=("cdn.leaks.example",))]
    best = best_entry(entries, "cdn.leaks.example")
    assert best is not None
    assert best.id == "narrow"


def test_without_an_entry_the_site_is_a_guess_and_a_guess_is_never_mailed_nor_told() -> None:
    contact = contact_at(Stage.SITE, FACTS, [])
    assert contact is not None
    assert (contact.email, contact.source) == ("abuse@leaks.example", Source.GUESS)
    for stage in Stage:
        assert not is_verified(msgspec.structs.replace(contact, verified_at=NOW), stage, NOW)
    assert on_the_wire(contact, FACTS) is None


def test_hosting_and_registrar_come_from_the_registries() -> None:
    hosting, registrar = (contact_at(stage, FACTS, []) for stage in (Stage.HOSTING, Stage.REGISTRAR))
    assert hosting is not None
    assert registrar is not None
    assert (hosting.email, registrar.email) == ("abuse@h.example", "abuse@r.example")
    assert is_verified(hosting, Stage.HOSTING, NOW)
    assert is_verified(registrar, Stage.REGISTRAR, NOW + RDAP_FRESH)
    assert not is_verified(registrar, Stage.REGISTRAR, NOW + RDAP_FRESH + timedelta(seconds=1))
    assert not is_verified(hosting, Stage.SITE, NOW), "a network's mailbox does not speak for a site"
    nobody = msgspec.structs.replace(FACTS, hoster_email=None, registrar_email=None)
    assert contact_at(Stage.HOSTING, nobody, []) is None
    assert contact_at(Stage.REGISTRAR, nobody, []) is None


def test_a_verified_entry_of_a_hoster_beats_what_the_registry_says_an_unverified_one_does_not() -> None:
    entry = an_entry(
        id="h", match=("h.example",), kind=Kind.HOSTING, takedown_method=Method.FORM, form_url="https://h.example/abuse"
    )
    contact = contact_at(Stage.HOSTING, FACTS, [entry])
    assert contact is not None
    assert contact.source is Source.RDAP
    contact = contact_at(Stage.HOSTING, FACTS, [msgspec.structs.replace(entry, verified_at=NOW)])
    assert contact is not None
    assert contact.form_url == "https://h.example/abuse"


def test_a_cdn_is_asked_where_it_hides_the_host() -> None:
    cdn = an_entry(
        id="cloudflare",
        match=("cloudflare.com",),
        kind=Kind.CDN,
        takedown_method=Method.FORM,
        form_url="https://abuse.cloudflare.com",
    )
    contact = contact_at(Stage.HOSTING, msgspec.structs.replace(FACTS, cdn="cloudflare"), [cdn])
    assert contact is not None
    assert contact.form_url == "https://abuse.cloudflare.com"


def test_entries_of_networks_do_not_speak_for_a_site() -> None:
    network = an_entry(kind=Kind.REGISTRAR, source=Source.OPERATOR, verified_at=NOW)
    contact = contact_at(Stage.SITE, FACTS, [network])
    assert contact is not None
    assert contact.source is Source.GUESS


@pytest.mark.parametrize("source", list(Source))
@pytest.mark.parametrize("stage", list(Stage))
def test_what_nobody_verified_is_never_mailed(source: Source, stage: Stage) -> None:
    contact = Contact(name="E", method=Method.EMAIL, source=source, email="a@e.com")
    assert not is_verified(contact, stage, NOW)


@pytest.mark.parametrize("source", [Source.OPERATOR, Source.SHIPPED])
def test_what_somebody_verified_is(source: Source) -> None:
    assert is_verified(contact_of(an_entry(source=source, verified_at=NOW)), Stage.SITE, NOW)
    assert not is_verified(contact_of(an_entry(source=Source.LEARNED, verified_at=NOW)), Stage.SITE, NOW)


def test_the_ladder_and_where_a_hopeless_site_is_left_out() -> None:
    assert stages_of("ok") == (Stage.SITE, Stage.HOSTING, Stage.REGISTRAR, Stage.SEARCH)
    assert stages_of("futile") == (Stage.HOSTING, Stage.REGISTRAR, Stage.SEARCH)


def test_what_callers_are_told() -> None:
    email = on_the_wire(contact_of(an_entry()), FACTS)
    assert email == HostContact(
        takedown_method="email", dmca_email="dmca@leaks.example", registrar_name="R", registrar_email="abuse@r.example"
    )
    form = an_entry(takedown_method=Method.FORM, form_url="https://f.example/", dmca_email="x@f.example")
    assert on_the_wire(contact_of(form), FACTS) == HostContact(takedown_method="form", form_url="https://f.example/")
    assert on_the_wire(contact_of(an_entry(takedown_method=Method.API, api="x")), FACTS) == HostContact(
        takedown_method="api"
    )
    assert on_the_wire(None, FACTS) is None


def test_an_entry_nobody_looked_at_for_half_a_year_is_stale() -> None:
    assert is_stale(an_entry(), NOW)
    assert not is_stale(an_entry(verified_at=NOW - timedelta(days=180)), NOW)
    assert is_stale(an_entry(verified_at=NOW - timedelta(days=181)), NOW)
