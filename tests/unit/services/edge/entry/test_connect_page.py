"""The HTML of connect links: every step, nothing that is not ours unescaped."""

import re
from datetime import UTC, datetime

import pytest

from libs.common.contracts.models import LinkShown
from services.edge.entry.connect_page import leaving_page, link_page
from services.edge.entry.page import message_page


def a_page(step: str = "credentials", *, problem: str = "", **changes: str) -> str:
    fields = {"label": "Mia", "provider": "session", **changes}
    shown = LinkShown(step=step, expires_at=datetime(2026, 6, 1, 12, 15, tzinfo=UTC), **fields)
    return link_page(shown, form="token", problem=problem).decode()


@pytest.mark.parametrize("step", ["credentials", "consent", "code", "working", "connected"])
def test_a_page_is_whole_and_has_neither_script_nor_inline_style_nor_foreign_source(step: str) -> None:
    text = a_page(step)
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=|https?://|javascript:", text)
    for tag in ("html", "head", "body", "main", "h1", "title"):
        assert text.count(f"<{tag}") == text.count(f"</{tag}>") == 1, tag


@pytest.mark.parametrize(("step", "fields"), [("credentials", ["email", "password"]), ("code", ["code"])])
def test_every_field_has_its_label_and_the_form_its_token(step: str, fields: list[str]) -> None:
    text = a_page(step)
    assert re.findall(r'<label for="(\w+)">', text) == re.findall(r'<input id="(\w+)"', text) == fields
    assert '<input type="hidden" name="form" value="token">' in text
    assert "until 12:15 UTC" in text


def test_labels_problems_and_reasons_are_text_and_never_markup() -> None:
    text = a_page(label='<b>"&{x}', problem="<i>")
    assert "<b>" not in text
    assert "<i>" not in text
    assert "&lt;b&gt;&quot;&amp;{x}" in text
    assert "The last attempt did not work." in a_page(reason="<u>some_new_reason")
    assert "<u>" not in message_page("<u>", "<u>").decode()


def test_it_looks_again_only_while_the_platform_signs_in() -> None:
    assert 'http-equiv="refresh"' in a_page("working")
    assert not any('http-equiv="refresh"' in a_page(step) for step in ("credentials", "consent", "code", "connected"))


def test_where_the_platform_asks_nothing_is_typed_here() -> None:
    text = a_page("consent", provider="fanvue", reason="consent_denied")
    assert "<input id=" not in text
    assert "Connect with Fanvue</button>" in text
    assert '<input type="hidden" name="form" value="token">' in text
    assert "You did not allow it." in text
    assert "until 12:15 UTC" in text


def test_the_way_out_is_one_address_and_no_markup() -> None:
    text = leaving_page("Fanvue", 'https://auth.test/?a=1&b="><script>').decode()
    assert 'content="0;url=https://auth.test/?a=1&amp;b=&quot;&gt;&lt;script&gt;"' in text
    assert "<script" not in text
    assert 'rel="noreferrer"' in text
