"""Sealed forms: only the holder of the private key reads them, and only for what they were sealed for."""

import pytest

from libs.common.sealing import FormBroken, FormKeyMissing, FormKeys, seal_form

KEYS = FormKeys.parse(f"k1:{'11' * 32}")
FORM = b'{"password":"hunter2"}'


def sealed(bound_to: bytes = b"a") -> bytes:
    return seal_form(KEYS.active, KEYS.public, bound_to=bound_to, form=FORM)


def test_a_form_comes_back_as_it_was_and_shows_nothing_on_its_way() -> None:
    one, other = sealed(), sealed()
    assert KEYS.open(one, bound_to=b"a") == FORM
    assert one != other
    assert b"hunter2" not in one


def test_a_form_for_something_else_is_broken() -> None:
    with pytest.raises(FormBroken):
        KEYS.open(sealed(b"a"), bound_to=b"b")


def test_every_changed_byte_breaks_the_form() -> None:
    whole = sealed()
    for at in range(len(whole)):
        changed = whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :]
        with pytest.raises(FormBroken):
            KEYS.open(changed, bound_to=b"a")
    for length in range(len(whole)):
        with pytest.raises(FormBroken):
            KEYS.open(whole[:length], bound_to=b"a")


def test_an_older_key_still_opens_and_a_lost_one_is_named_as_such() -> None:
    rotated = FormKeys.parse(f"k2:{'22' * 32},k1:{'11' * 32}")
    assert (rotated.active, rotated.open(sealed(), bound_to=b"a")) == ("k2", FORM)
    with pytest.raises(FormKeyMissing):
        FormKeys.parse(f"k2:{'22' * 32}").open(sealed(), bound_to=b"a")


@pytest.mark.parametrize("text", ["", "k1", "k1:12", f"k1:{'11' * 32},k1:{'22' * 32}", f"K:{'11' * 32}"])
def test_a_malformed_ring_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(key \d+: expected|more than)") as refused:
        FormKeys.parse(text)
    assert "1111" not in str(refused.value)
    assert "11" * 32 not in repr(KEYS)


def test_a_key_of_small_order_is_refused() -> None:
    with pytest.raises(ValueError, match=r".*"):
        seal_form("k1", bytes(32), bound_to=b"a", form=FORM)
