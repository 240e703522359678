"""The pepper ring: what it accepts, what it computes, what it never shows."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.peppers import PEPPERS_MAX, PepperRing

NEW, OLD = "ab" * 32, "cd" * 32


def test_digests_are_plain_hmac_sha256_with_the_active_pepper_first() -> None:
    ring = PepperRing.parse(f"2026b:{NEW},2026a:{OLD}")
    expected = tuple(
        (name, hmac.new(bytes.fromhex(pepper), b"fgk_x", hashlib.sha256).hexdigest())
        for name, pepper in (("2026b", NEW), ("2026a", OLD))
    )
    assert ring.digests("fgk_x") == expected
    assert ring.active == "2026b"


@given(st.lists(st.text(max_size=40), min_size=1, max_size=5))
def test_one_key_leaves_no_trace_in_the_digest_of_the_next(keys: list[str]) -> None:
    ring = PepperRing.parse(f"a:{NEW}")
    for key in keys:
        assert ring.digests(key) == (("a", hmac.new(bytes.fromhex(NEW), key.encode(), "sha256").hexdigest()),)


def test_spaces_and_line_ends_around_entries_do_not_matter() -> None:
    assert PepperRing.parse(f" a:{NEW} ,\n b:{OLD}\n").digests("k") == PepperRing.parse(f"a:{NEW},b:{OLD}").digests("k")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        NEW,
        f"a:{NEW[:-1]}",
        f"a:{NEW}0",
        f":{NEW}",
        f"A:{NEW}",
        f"a:{NEW},",
        f"a:{NEW},a:{OLD}",
        f"a:{NEW},b:{NEW}",
        "a:" + "zz" * 32,
        ",".join(f"p{n}:{n:064x}" for n in range(PEPPERS_MAX + 1)),
    ],
)
def test_a_malformed_ring_is_refused_without_showing_a_pepper(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        PepperRing.parse(text)
    assert NEW not in str(caught.value)
    assert OLD not in str(caught.value)


def test_repr_names_the_peppers_and_shows_none() -> None:
    assert repr(PepperRing.parse(f"b:{NEW},a:{OLD}")) == "PepperRing(b, a)"


def test_a_subkey_is_no_digest_of_any_key_and_another_for_each_purpose() -> None:
    ring = PepperRing.parse(f"2026b:{NEW},2026a:{OLD}")
    subkeys = ring.subkeys("answers")
    assert list(subkeys) == ["2026b", "2026a"]
    assert {len(subkey) for subkey in subkeys.values()} == {32}
    assert dict(ring.digests("answers"))["2026b"] != subkeys["2026b"].hex()
    assert ring.subkeys("others") != subkeys
