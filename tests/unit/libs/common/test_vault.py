"""Secrets at rest."""

import uuid
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.vault import Place, SealBroken, Vault, key_name
from services.sessions.domain.credentials import Credentials, Pending, Session

OLD, NEW = f"old:{'11' * 32}", f"new:{'22' * 32}"
PLACE = Place(table="vault", column="session", org_id=uuid.UUID(int=1), record_id=uuid.UUID(int=2))


@given(st.binary(max_size=5_000))
def test_what_is_sealed_can_be_opened_and_shows_nothing(value: bytes) -> None:
    vault = Vault.parse(OLD)
    sealed = vault.seal(PLACE, value)
    assert vault.open(PLACE, sealed) == value
    assert sealed[:6] == b"v1\x03old"
    if len(value) > 3:
        assert value not in sealed
    assert sealed != vault.seal(PLACE, value)


OTHER_PLACES = [
    replace(PLACE, table="webhooks"),
    replace(PLACE, column="credentials"),
    replace(PLACE, org_id=uuid.UUID(int=3)),
    replace(PLACE, record_id=uuid.UUID(int=3)),
    replace(PLACE, schema_version=2),
]


@pytest.mark.parametrize("other", OTHER_PLACES, ids=["table", "column", "organization", "record", "schema version"])
def test_a_value_cannot_be_moved_to_another_place(other: Place) -> None:
    vault = Vault.parse(f"{OLD},{NEW}")
    sealed = vault.seal(PLACE, b"secret")
    for open_ in (vault.open, vault.rewrapped if vault.active == "new" else vault.open):
        with pytest.raises(SealBroken):
            open_(other, sealed)
    with pytest.raises(SealBroken):
        Vault.parse(f"{NEW},{OLD}").rewrapped(other, sealed)


def test_exchanged_rows_are_found_out() -> None:
    vault = Vault.parse(OLD)
    places = [PLACE, replace(PLACE, record_id=uuid.UUID(int=9))]
    sealed = [vault.seal(place, b"secret of %d" % n) for n, place in enumerate(places)]
    for place, wrong in zip(places, reversed(sealed), strict=True):
        with pytest.raises(SealBroken):
            vault.open(place, wrong)


def test_a_data_key_cannot_be_given_to_another_ciphertext() -> None:
    vault = Vault.parse(OLD)
    one, two = vault.seal(PLACE, b"one"), vault.seal(PLACE, b"two")
    header = len(b"v1\x03old") + 12 + 48
    with pytest.raises(SealBroken):
        vault.open(PLACE, one[:header] + two[header:])


@given(st.integers(min_value=0, max_value=10_000), st.integers(min_value=0, max_value=7))
def test_every_changed_bit_is_noticed(position: int, bit: int) -> None:
    vault = Vault.parse(OLD)
    sealed = bytearray(vault.seal(PLACE, b"secret"))
    sealed[position % len(sealed)] ^= 1 << bit
    with pytest.raises(SealBroken):
        vault.open(PLACE, bytes(sealed))


@given(st.integers(min_value=0, max_value=200))
def test_a_cut_value_is_noticed(length: int) -> None:
    vault = Vault.parse(OLD)
    sealed = vault.seal(PLACE, b"secret")
    with pytest.raises(SealBroken):
        vault.open(PLACE, sealed[: min(length, len(sealed) - 1)])


def test_rotation_rewraps_the_data_key_only() -> None:
    sealed = Vault.parse(OLD).seal(PLACE, b"secret")
    both = Vault.parse(f"{NEW},{OLD}")
    assert both.open(PLACE, sealed) == b"secret"
    rewrapped = both.rewrapped(PLACE, sealed)
    assert rewrapped is not None
    assert key_name(rewrapped) == "new"
    assert rewrapped.endswith(sealed[-(12 + 6 + 16) :])
    assert both.rewrapped(PLACE, rewrapped) is None
    assert Vault.parse(NEW).open(PLACE, rewrapped) == b"secret"
    with pytest.raises(SealBroken, match="'old' is not in the ring"):
        Vault.parse(NEW).open(PLACE, sealed)


@pytest.mark.parametrize(
    "text",
    ["", "name", "name:12", f"Name:{'11' * 32}", f"{OLD},{OLD}", f"a:{'11' * 32},b:{'11' * 32}", f"{OLD},", OLD + "0"],
)
def test_a_malformed_ring_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        Vault.parse(text)
    assert "1111" not in str(refused.value)


def test_nothing_secret_shows_itself() -> None:
    shown = repr(Vault.parse(OLD)) + repr(
        [Credentials(email="me@x.y", password="pw"), Session(cookie="sid=1"), Pending(challenge="ch", code="123")]
    )
    for secret in ("1111", "me@x.y", "pw", "sid", "ch'", "123"):
        assert secret not in shown
