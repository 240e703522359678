"""The page of versions names each with its dates and changes; deprecated answers link into it."""

from services.edge.domain.changes import CHANGES
from services.edge.domain.versions import Versions
from services.edge.entry.surfaces import SURFACES
from services.edge.entry.versions_page import versions_page


def test_R169_the_page_tells_the_timeline_and_what_changed() -> None:
    versions = Versions.with_dates("2025-06-26=2027-01-15/2027-07-15")
    text = versions_page(versions, SURFACES).decode()
    for version in versions.all:
        assert f'<section id="v{version.date}">' in text
    assert "deprecated from 2027-01-15 00:00 UTC" in text
    assert "works until 2027-07-15 00:00 UTC" in text
    assert text.count("<li>") >= len(CHANGES)
    assert "/fanvue/openapi.json?version=2025-06-26" in text
