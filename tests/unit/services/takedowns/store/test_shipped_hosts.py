import pytest

from services.takedowns.domain.host import Kind, Method, Source, best_entry
from services.takedowns.store.shipped_hosts import parse_entry, shipped_hosts

ROW = {
    "id": "e", "name": "E", "match": ["e.com"], "kind": "platform", "takedown_method": "email", "dmca_email": "dmca@e.com",
    "confidence": "high", "verified_at": "",
}  # fmt: skip


def test_no_shipped_row_is_verified_so_none_is_ever_mailed_before_a_person_looked() -> None:
    entries = shipped_hosts()
    assert len(entries) >= 27
    assert [entry.id for entry in entries if entry.verified_at or entry.source is not Source.SHIPPED] == []


def test_no_shipped_row_says_that_pages_are_gone() -> None:
    assert [entry.id for entry in shipped_hosts() if entry.removed_markers] == [], (
        "a wrong marker proves a removal that is none"
    )


@pytest.mark.parametrize(
    ("host", "method", "address"),
    [
        ("t.me", Method.EMAIL, "dmca@telegram.org"),
        ("x.com", Method.FORM, "https://help.x.com/en/forms/ipi/dmca"),
        ("pornhub.com", Method.FORM, "https://www.pornhub.com/content-removal"),
        ("mega.nz", Method.EMAIL, "copyright@mega.io"),
        ("xvideos.com", Method.EMAIL, "abuse@xvideos.com"),
        ("discord.gg", Method.FORM, "https://dis.gd/copyright"),
    ],
)
def test_the_contacts_of_well_known_hosts(host: str, method: Method, address: str) -> None:
    entry = best_entry(shipped_hosts(), host)
    assert entry is not None
    assert entry.takedown_method is method
    assert address in {entry.dmca_email, entry.form_url}


def test_every_stage_has_somebody() -> None:
    kinds = {entry.kind for entry in shipped_hosts()}
    assert {
        Kind.PLATFORM,
        Kind.TUBE,
        Kind.FILEHOST,
        Kind.MESSENGER,
        Kind.CDN,
        Kind.HOSTING,
        Kind.REGISTRAR,
        Kind.SEARCH,
    } <= kinds


@pytest.mark.parametrize(
    "wrong",
    [{"kind": "zoo"}, {"takedown_method": "form"}, {"dmca_email": ""}, {"match": []}, {"mtach": ["x"]}, {"id": 1}],
)
def test_a_wrong_row_is_named(wrong: dict[str, object]) -> None:
    assert parse_entry(ROW, source="f.toml").dmca_email == "dmca@e.com"
    with pytest.raises(ValueError, match=r"f\.toml"):
        parse_entry({**ROW, **wrong}, source="f.toml")
