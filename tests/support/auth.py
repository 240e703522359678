"""For tests of auth: valid objects with one thing changed, and a clock that stands still."""

import uuid
from datetime import UTC, datetime, timedelta

import msgspec

from libs.common.contracts.auth import KeyDigest
from libs.common.ids import uuid7
from libs.common.peppers import PepperRing
from services.auth.domain.key import Key, KeyKind
from services.auth.domain.organization import Organization, User
from services.auth.domain.ports import Accounts
from services.auth.domain.role import BUILT_IN_ROLES, Role

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PASSWORD_KEYS = f"p1:{'33' * 32}"
RING_TEXT = "b:" + "b0" * 32 + ",a:" + "a0" * 32
WEBHOOK_RING_TEXT = "w1:" + "33" * 32
RING = PepperRing.parse(RING_TEXT)
OLD_RING = PepperRing.parse("a:" + "a0" * 32)


class StandingClock:
    """The time that the test says it is."""

    def __init__(self, now: datetime = NOW) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    def now_ms(self) -> int:
        return int(self.time.timestamp() * 1000)

    def stopwatch_ms(self) -> int:
        return self.now_ms()

    def pass_time(self, **parts: int) -> None:
        """`pass_time(days=1)`."""
        self.time += timedelta(**parts)


def digests_of(text: str, ring: PepperRing = RING) -> tuple[KeyDigest, ...]:
    """What an edge with `ring` asks about the key `text`."""
    return tuple(KeyDigest(pepper=pepper, digest=digest) for pepper, digest in ring.digests(text))


def a_key(org_id: uuid.UUID, role: Role | None, **changed: object) -> Key:
    """An active organization key (a personal one if `role` is None and a user and scopes are given)."""
    key = Key(
        key_id=uuid7(),
        org_id=org_id,
        kind=KeyKind.ORGANIZATION if role else KeyKind.PERSONAL,
        digest=uuid.uuid4().hex * 2,
        pepper="b",
        start="fgk_Abcd" if role else "fgu_Abcd",
        label="a label",
        created_at=NOW,
        role_id=role.role_id if role else None,
    )
    return msgspec.structs.replace(key, **changed)


async def an_organization(accounts: Accounts, **changed: object) -> Organization:
    """A new, active organization in `accounts`, with the built-in roles and an owner."""
    organization = msgspec.structs.replace(Organization(org_id=uuid7(), name="Example"), **changed)
    roles = [Role(role_id=uuid7(), org_id=organization.org_id, name=name, is_built_in=True) for name in BUILT_IN_ROLES]
    owner = User(
        user_id=uuid7(),
        org_id=organization.org_id,
        email=f"{organization.org_id}@example.test",
        role_id=roles[0].role_id,
    )
    await accounts.create(organization, roles, owner)
    return organization
