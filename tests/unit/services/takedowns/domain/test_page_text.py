import time

import pytest

from services.takedowns.domain.fingerprint import Fingerprint, fingerprint, is_alike
from services.takedowns.domain.page_text import text_of, title_of


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("plain", "plain"),
        ("<p>a</p><b>b</b>", "a b"),
        ("a<script>x<y</script>b<STYLE>p{}</style >c", "a b c"),
        ("a<!-- <b>hidden</b> -->b", "a b"),
        ("<header>kept</header><head><title>t</title></head>x", "kept x"),
        ("&lt;b&gt; &amp; &eacute;", "<b> & é"),
        ("İİİ<B>x</B>", "İİİ x"), ("a<b", "a"), ("a<!-- b", "a"), ("a<script>b", "a"), ("", ""),
    ],
)  # fmt: skip
def test_what_a_visitor_reads(html: str, text: str) -> None:
    assert text_of(html) == text


@pytest.mark.parametrize(
    ("html", "title"),
    [
        ("<TITLE lang=en> A\n&amp; B </title>", "A & B"),
        ("<title>", ""),
        ("", ""),
        ("<title>x", ""),
        ("<title>" + "x" * 999 + "</title>", "x" * 300),
    ],
)
def test_titles(html: str, title: str) -> None:
    assert title_of(html) == title


@pytest.mark.alone  # it measures time
@pytest.mark.parametrize("piece", ["<", "<script", "<!--", "<title", "<a ", "</script>", "&amp;", "<script>"])
def test_hostile_pages_take_no_time(piece: str) -> None:
    html = piece * (256 * 1024 // len(piece))
    started = time.perf_counter()
    fingerprint(html)
    assert time.perf_counter() - started < 2.0


ARTICLE = " ".join(f"word{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(400))


def test_pages_that_differ_in_numbers_or_a_word_are_alike_others_are_not() -> None:
    page = fingerprint(f"<title>A</title><p>{ARTICLE} visits 17")
    assert is_alike(page, fingerprint(f"<title>B</title><p>{ARTICLE} visits 18 <!-- x -->"))
    assert is_alike(page, fingerprint(f"<p>{ARTICLE} seen"))
    assert not is_alike(page, fingerprint("<p>" + " ".join(reversed(ARTICLE.split()))))
    assert not is_alike(page, fingerprint("<p>Sorry, this page does not exist any more"))


def test_a_fingerprint_fits_a_bigint() -> None:
    for simhash in (0, 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1):
        assert -(1 << 63) <= Fingerprint("", simhash).signed < 1 << 63
        assert Fingerprint("", simhash).signed % (1 << 64) == simhash
