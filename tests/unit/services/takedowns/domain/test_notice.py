"""Notices: every template and language has the six elements, and nothing that does not belong in it."""

import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from libs.common.contracts.creators import OfficialLink
from services.takedowns.domain.notice import IncompleteNoticeError, number_of, render
from services.takedowns.domain.notice_texts import LANGUAGES, TEXTS, texts_of
from services.takedowns.domain.states import Category, Stage
from tests.support.takedown_notices import AGENT, NOTICE_ID, WORK, a_draft

EVERY = [(language, category, stage) for language, category in TEXTS for stage in Stage]


@pytest.mark.parametrize(("language", "category", "stage"), EVERY)
def test_every_template_in_every_language_has_the_six_elements(language: str, category: Category, stage: Stage) -> None:
    draft = a_draft(language=language, category=category, stage=stage)
    notice = render(draft)
    for name in notice.elements.__struct_fields__:
        element = getattr(notice.elements, name)
        assert element.strip(), name
        assert element in notice.body, name
    for part in (
        *draft.urls,
        *(link.handle for link in WORK.links),
        AGENT.name,
        AGENT.address,
        AGENT.phone,
        AGENT.email,
        "/s/ Rights Desk Ltd",
    ):
        assert part in notice.body
    assert "{" not in notice.body
    assert notice.language == language
    assert notice.body.isprintable() or {c for c in notice.body if not c.isprintable()} == {"\n"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_copyright_notices_name_the_statute_the_perjury_and_the_dsa(language: str) -> None:
    body = render(a_draft(language=language)).body
    for words in ("512(c)(3)", "2022/2065", "penalty of perjury" if language == "en" else "(under penalty of perjury)"):
        assert words in body


@pytest.mark.parametrize("language", LANGUAGES)
def test_requests_about_consent_claim_no_copyright(language: str) -> None:
    body = render(a_draft(language=language, category=Category.NCII)).body
    assert "TAKE IT DOWN" in body
    assert "48" in body
    assert "512" not in body


def test_urls_stand_alone_on_their_lines_exactly_as_they_are() -> None:
    urls = ("https://leaks.example/a?b=1&c=%C3%A9#x", "https://leaks.example/" + "x" * 2_000)
    lines = render(a_draft(urls=urls)).body.splitlines()
    assert [line for line in lines if line.startswith("http")] == list(urls)


def test_subject() -> None:
    assert render(a_draft()).subject == "DMCA notice [TD-0123456789AB] leaks.example (2 URLs)"
    assert render(a_draft(urls=("https://leaks.example/",))).subject.endswith("(1 URL)")
    assert number_of(NOTICE_ID) == "TD-0123456789AB"


@pytest.mark.parametrize(("language", "category", "stage"), EVERY)
def test_no_legal_name_unless_the_host_demands_it(language: str, category: Category, stage: Stage) -> None:
    draft = a_draft(language=language, category=category, stage=stage)
    assert "Maria" not in render(draft).body
    assert "Maria Secret" in render(msgspec.structs.replace(draft, requires=("legal_name",))).body


def test_a_host_that_demands_a_legal_name_gets_nothing_without_one() -> None:
    draft = a_draft(requires=("legal_name",), work=msgspec.structs.replace(WORK, legal_name=None))
    with pytest.raises(IncompleteNoticeError, match="legal_name"):
        render(draft)


@pytest.mark.parametrize(
    ("missing", "changes"),
    [
        ("signature", {"agent": msgspec.structs.replace(AGENT, name=" ")}),
        ("contact", {"agent": msgspec.structs.replace(AGENT, address="")}),
        ("contact", {"agent": msgspec.structs.replace(AGENT, phone="\n")}),
        ("contact", {"agent": msgspec.structs.replace(AGENT, email="")}),
        ("work", {"work": msgspec.structs.replace(WORK, links=())}),
        ("work", {"work": msgspec.structs.replace(WORK, stage_name="\x00\n")}),
        ("material", {"urls": ()}),
        ("urls", {"urls": tuple(f"https://e.com/{n}" for n in range(101))}),
        ("urls", {"urls": ("https://e.com/a\nBcc: x@y.z",)}),
        ("urls", {"urls": ("javascript:alert(1)",)}),
        ("urls", {"urls": ("https://e.com/é",)}),
        ("host", {"host": " "}),
    ],
)
def test_without_an_element_there_is_no_notice(missing: str, changes: dict[str, Any]) -> None:
    with pytest.raises(IncompleteNoticeError, match=missing):
        render(a_draft(**changes))


def test_a_hundred_urls_fit() -> None:
    assert len(render(a_draft(urls=tuple(f"https://e.com/{n}" for n in range(100)))).body) > 100


@pytest.mark.parametrize(
    "evil", ["Eve\r\nBcc: victim@e.com", "Eve\nX: y", "Eve\u2028X", "Eve\x0bX", "Eve\u202eX", "Eve\x85X"]
)
def test_what_creators_typed_cannot_begin_a_line(evil: str) -> None:
    work = msgspec.structs.replace(
        WORK, stage_name=evil, links=(OfficialLink(platform="other", handle=evil),), legal_name=evil
    )
    notice = render(a_draft(work=work, host=evil, requires=("legal_name",)))
    assert "\n" not in notice.subject
    assert "\r" not in notice.subject
    assert not any(line.startswith(("Bcc", "X: ", "X")) for line in notice.body.splitlines())


def test_braces_in_names_are_only_braces() -> None:
    work = msgspec.structs.replace(WORK, stage_name="{host} {0} {agent.phone}")
    assert "{host} {0} {agent.phone}" in render(a_draft(work=work)).body


def test_earlier_notices_are_cited() -> None:
    body = render(a_draft(earlier=((uuid.UUID(int=0xABC), datetime(2026, 11, 1, tzinfo=UTC)),))).body
    assert "TD-000000000ABC (2026-11-01)" in body
    assert "Earlier" not in render(a_draft()).body


def test_another_language_is_english() -> None:
    assert texts_of("tlh", Category.COPYRIGHT)[0] == "en"
    assert render(a_draft(language="tlh")).language == "en"


def test_all_languages_have_all_sentences() -> None:
    for texts in TEXTS.values():
        for name in texts.__struct_fields__:
            value = getattr(texts, name)
            assert all(value.values() if isinstance(value, dict) else [value]), name
        assert set(texts.opening) == set(texts.request) == set(Stage)
