"""No secret is in the tree: they come from the environment or from files that a secret manager mounts."""

import re
from pathlib import Path

import msgspec
import pytest

from deploy.documents import ROOT
from deploy.system import SERVICES
from libs.common.ids import key_kind, new_key
from libs.common.settings import Secret
from tests.contract.test_locks import files_of_the_tree

# What secrets look like wherever they come from; tests may hold made-up ones, marked below.
PATTERNS = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a cloud access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a token of a code host": re.compile(r"\b(?:gh[pousr]_[0-9A-Za-z]{36}|glpat-[0-9A-Za-z_-]{20})\b"),
    "a payment provider's key": re.compile(r"\b[sr]k_live_[0-9A-Za-z]{16,}\b"),
    "a chat token": re.compile(r"\bxox[abprs]-[0-9A-Za-z-]{10,}"),
    "a signed token": re.compile(r"\beyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}"),
    "a key ring": re.compile(r"\b(?!sha256:)\w+:[0-9a-f]{64}\b"),
    "a login in an address": re.compile(r"\b(?:postgresql|amqps?|rediss?|smtps?|imaps)://[^/\s:@{}$*\"']+:[^/\s@{}$*\"']{4,}@(?!127\.0\.0\.1|localhost)"),
    "an assigned password": re.compile(r"(?i)\b(?:password|passwd|secret|api_key|token)\s*[=:]\s*[\"'][^\"'{}$<\s]{8,}[\"']"),
}  # fmt: skip
OURS = re.compile(r"\bfg[ktuors]_[0-9A-Za-z]{36}\b")
# The demo's and the sandbox's: they open nothing but a stand-in for a platform.
KNOWN = ("sandbox-demo-password", "user:password@host", "user:password@")
MADE_UP = (
    "tests/",
    "docs/",
)  # tests plant secrets, documents show forms; a real key of ours is not allowed there either


def finds(text: str, *, is_made_up: bool) -> list[str]:
    """What in `text` looks like a secret."""
    found = [] if is_made_up else [
        f"{what}: {match[0][:30]}"
        for what, pattern in PATTERNS.items()
        for match in pattern.finditer(text)
        if not any(each in match[0] for each in KNOWN)
    ]  # fmt: skip
    # A key with a right checksum was issued, or made to look so.
    return found + [f"one of our keys: {key[:8]}" for key in OURS.findall(text) if not is_made_up and key_kind(key)]


def test_R163_no_secret_is_in_the_tree() -> None:
    found: dict[str, list[str]] = {}
    for path in files_of_the_tree():
        name = str(path.relative_to(ROOT))
        text = path.read_text(encoding="utf-8", errors="ignore")
        if complaints := finds(text, is_made_up=name.startswith(MADE_UP)):
            found[name] = complaints
    assert found == {}


@pytest.mark.parametrize(
    "planted",
    [
        "-----BEGIN EC PRIVATE KEY-----",
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "ghp_" + "a1" * 18,
        "sk_live_" + "a" * 24,
        "key_peppers = 'main:" + "0f" * 32 + "'",
        "postgresql://billing_app:hunter22@db.internal/fangate",
        'password = "correct-horse"',
        new_key("fgk_"),
    ],
    ids=lambda planted: planted[:4],
)
def test_a_planted_secret_is_found(planted: str) -> None:
    assert finds(f"x = {planted}\n", is_made_up=False)


def test_what_only_names_a_secret_is_none() -> None:
    harmless = 'password: str\nFANGATE_KEY_PEPPERS_FILE=/run/secrets/x\ntoken = make_token()\nsmtp://127.0.0.1:25\nsecret = ""\n'
    assert finds(harmless, is_made_up=False) == []


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_R163_settings_that_are_secrets_have_no_default_that_opens_anything(service: object) -> None:
    struct = service.struct  # type: ignore[attr-defined]
    # Addresses that carry a login, and what says by its name that it is one.
    telling = re.compile(r"(dsn|(amqp|redis|smtp|mailbox)_url|_keys|peppers|password|secret|token)$")
    for field in msgspec.structs.fields(struct):
        if field.type is Secret:
            assert field.required or not field.default, field.name
        elif telling.search(field.name):
            raise AssertionError(f"{field.name} should be a Secret")


def test_the_hooks_fetch_nothing() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"repo: (\S+)", text) == ["local"]
    for target in re.findall(r"entry: make (\S+?),", text):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_paths_that_may_hold_made_up_secrets_exist() -> None:
    assert all((ROOT / Path(part)).is_dir() for part in MADE_UP)
