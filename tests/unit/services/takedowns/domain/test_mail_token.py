import uuid

import pytest

from services.takedowns.domain.mail_token import MailTokens

NOTICE = uuid.UUID("018f3c2a-7b1e-7c3d-8a9b-0123456789ab")
TOKENS = MailTokens.parse("ab" * 32)


@pytest.mark.parametrize("kind", ["b", "r"])
def test_an_address_of_ours_is_read_back_also_in_capitals(kind: str) -> None:
    local = TOKENS.local_part(kind, NOTICE)  # type: ignore[arg-type]
    assert len(local) <= 64
    assert TOKENS.read(f"{local}@reply.example") == (kind, NOTICE)
    assert TOKENS.read(f"  {local.upper()}@REPLY.example") == (kind, NOTICE)


def test_a_forged_token_is_nothing() -> None:
    local = TOKENS.local_part("r", NOTICE)
    other = uuid.UUID(int=NOTICE.int + 1).hex
    for forged in (
        local[:-1] + ("a" if local[-1] != "a" else "b"), "b" + local[1:], local.replace(NOTICE.hex, other), local[:-1], local + "a",
        f"r+{NOTICE.hex}", "", "r+.", MailTokens.parse("cd" * 32).local_part("r", NOTICE),
    ):  # fmt: skip
        assert TOKENS.read(f"{forged}@reply.example") is None, forged


def test_keys_rotate() -> None:
    local = TOKENS.local_part("b", NOTICE)
    rotated = MailTokens.parse(f"{'cd' * 32},{'ab' * 32}")
    assert rotated.read(local) == ("b", NOTICE)
    assert rotated.local_part("b", NOTICE) != local


@pytest.mark.parametrize("text", ["", "ab", "zz" * 32, f"{'ab' * 32},"])
def test_a_malformed_key_is_named_by_its_place_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match=r"key [12]") as wrong:
        MailTokens.parse(text)
    assert "ab" not in str(wrong.value)
