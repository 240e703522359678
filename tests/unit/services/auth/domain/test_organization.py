"""Names and addresses."""

import uuid

import pytest

from services.auth.domain.errors import InvalidRequest
from services.auth.domain.organization import checked_email, checked_name, placeholder_email


def test_a_name_loses_the_blanks_around_it() -> None:
    assert checked_name("  Example & Söhne ") == "Example & Söhne"
    assert checked_name("x" * 200) == "x" * 200


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "a\x00b", "a\nb"])
def test_a_name_that_cannot_be_shown_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        checked_name(name)


@pytest.mark.parametrize("email", ["a@b", "first.last+tag@example.co.uk", " a@b "])
def test_an_address_is_kept_as_given(email: str) -> None:
    assert checked_email(email) == email.strip()


@pytest.mark.parametrize("email", ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\nbcc: c@d", "<a@b>", "x" * 65 + "@b"])
def test_what_is_no_address_is_refused(email: str) -> None:
    with pytest.raises(InvalidRequest):
        checked_email(email)


def test_the_placeholder_is_an_address_that_nobody_can_have() -> None:
    address = placeholder_email(uuid.UUID(int=1))
    assert checked_email(address).endswith(".invalid")
