"""Ids and API keys: order, determinism, and a parser that takes nothing but our keys."""

import threading
import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.ids import KEY_KINDS, KEY_PATTERN, derived_id, id_ms, key_kind, new_key, uuid7

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
a_key = st.builds(new_key, st.sampled_from(sorted(KEY_KINDS)))


def test_uuid7_has_version_variant_and_the_time() -> None:
    before = time.time_ns() // 1_000_000
    fresh = uuid7()
    assert (fresh.version, fresh.variant) == (7, uuid.RFC_4122)
    assert before <= id_ms(fresh) <= time.time_ns() // 1_000_000 + 1


def test_ids_of_one_process_rise_strictly_even_within_a_millisecond() -> None:
    made = [uuid7() for _ in range(20_000)]  # several overflows of the 12-bit counter
    assert made == sorted(set(made))


def test_ids_stay_unique_across_threads() -> None:
    made: list[uuid.UUID] = []
    threads = [threading.Thread(target=lambda: made.extend([uuid7() for _ in range(2_000)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 8_000


def test_ids_rise_when_the_wall_clock_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    first = uuid7()
    monkeypatch.setattr("libs.common.ids.time.time_ns", lambda: (id_ms(first) - 60_000) * 1_000_000)
    assert uuid7() > first


@given(st.integers(0, 2**48 - 1), st.text())
def test_a_derived_id_is_a_function_of_its_time_and_key(ms: int, key: str) -> None:
    derived = derived_id(ms, key)
    assert derived == derived_id(ms, key)
    assert (derived.version, derived.variant, id_ms(derived)) == (8, uuid.RFC_4122, ms)


@given(st.integers(0, 2**48 - 1), st.text(), st.text())
def test_derived_ids_of_different_keys_differ(ms: int, one: str, other: str) -> None:
    assert (derived_id(ms, one) == derived_id(ms, other)) == (one == other)


@pytest.mark.parametrize(("prefix", "kind"), KEY_KINDS.items())
def test_a_new_key_is_recognised_as_its_kind(prefix: str, kind: str) -> None:
    key = new_key(prefix)
    assert len(key) == 40
    assert KEY_PATTERN.fullmatch(key)
    assert key_kind(key) == kind


def test_an_unknown_prefix_makes_no_key() -> None:
    with pytest.raises(ValueError, match="not a key prefix"):
        new_key("fgx_")


@given(a_key, st.data())
def test_a_key_with_any_one_character_changed_is_refused(key: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(key) - 1))
    other = data.draw(st.sampled_from(BASE62 + "_-. é").filter(lambda character: character != key[at]))
    assert key_kind(key[:at] + other + key[at + 1 :]) is None


@given(a_key, st.data())
def test_a_key_that_is_cut_or_extended_is_refused(key: str, data: st.DataObject) -> None:
    assert key_kind(key[: data.draw(st.integers(0, len(key) - 1))]) is None
    assert key_kind(key + data.draw(st.text(min_size=1, max_size=5))) is None
    assert key_kind(data.draw(st.text(min_size=1, max_size=5)) + key) is None


@given(a_key)
def test_the_checksum_covers_the_prefix(key: str) -> None:
    others = [prefix for prefix in KEY_KINDS if prefix != key[:4]]
    assert [key_kind(prefix + key[4:]) for prefix in others] == [None] * len(others)


@given(st.text())
def test_garbage_is_never_a_key(text: str) -> None:
    assert key_kind(text) is None


@given(st.from_regex(KEY_PATTERN, fullmatch=True))
def test_a_well_formed_stranger_passes_only_with_the_right_checksum(text: str) -> None:
    # given the same body, exactly one checksum is right: a mutant that ignores it accepts nearly all of these
    right = [text[:34] + tail for tail in {text[34:], "000000"} if key_kind(text[:34] + tail)]
    assert len(right) <= 1
    assert (key_kind(text) is None) == (text not in right)


def test_unicode_digits_and_newlines_do_not_slip_through_the_pattern() -> None:
    key = new_key("fgk_")
    assert key_kind(key + "\n") is None
    assert key_kind("fgk_" + "٣" * 36) is None
