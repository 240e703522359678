"""The port `KeptAnswers` without Postgres: the same promises in thirty lines (`tests/contract/edge/test_kept_answers_port.py`)."""

from dataclasses import dataclass, field
from uuid import UUID

from libs.common.clock import Clock, SystemClock
from libs.common.ids import uuid7
from services.edge.domain.idempotency import Asking, Claim, Kept
from services.edge.domain.refusal import Refusal

CLAIM_MS = 45_000
KEPT_MS = 86_400_000


@dataclass(slots=True)
class _Row:
    fingerprint: bytes
    claim: Claim
    created_ms: int
    claimed_until_ms: int
    kept: Kept | None = None
    debits: int = 1


@dataclass
class RememberedAnswers:
    """`refusal` is raised instead of claiming; `is_away`: nothing can be claimed, and what is to be kept is lost."""

    clock: Clock = field(default_factory=SystemClock)
    refusal: Refusal | None = None
    is_away: bool = False
    rows: dict[tuple[UUID, bytes], _Row] = field(default_factory=dict)

    async def claim(self, asking: Asking, call_id: UUID) -> Claim | Kept:
        if self.refusal is not None or self.is_away:
            raise self.refusal or Refusal("UNAVAILABLE", detail="idempotency keys: away")
        name, now_ms = (asking.org_id, asking.key_digest), self.clock.now_ms()
        row = self.rows.get(name)
        if row is None or now_ms - row.created_ms >= KEPT_MS:
            claim = Claim(asking.org_id, asking.key_digest, call_id, 1)
            self.rows[name] = _Row(asking.fingerprint, claim, now_ms, now_ms + CLAIM_MS)
            return claim
        if row.fingerprint != asking.fingerprint:
            raise Refusal("IDEMPOTENCY_KEY_REUSED")
        if row.kept is not None:
            return row.kept
        if row.claimed_until_ms > now_ms:
            raise Refusal("IDEMPOTENCY_IN_PROGRESS")
        row.debits += 1
        row.claim = Claim(asking.org_id, asking.key_digest, row.claim.call_id, row.claim.turn + 1, row.debits)
        row.claimed_until_ms = now_ms + CLAIM_MS
        return row.claim

    async def keep(self, claim: Claim, kept: Kept) -> None:
        if (row := self._mine(claim)) is not None:
            row.kept = kept

    async def free(self, claim: Claim) -> None:
        if self._mine(claim) is not None:
            del self.rows[claim.org_id, claim.key_digest]

    async def hold(self, claim: Claim, *, may_have_paid: bool = False) -> None:
        row, now_ms = self._mine(claim), self.clock.now_ms()
        if row is not None and row.claimed_until_ms > now_ms:
            row.claimed_until_ms = now_ms
            row.debits -= not may_have_paid

    def _mine(self, claim: Claim) -> _Row | None:
        row = self.rows.get((claim.org_id, claim.key_digest))
        return row if row is not None and row.claim == claim and row.kept is None and not self.is_away else None


def an_asking(org_id: UUID | None = None, *, key: bytes = b"k", body: bytes = b"b") -> Asking:
    """A request under a key."""
    return Asking(org_id or uuid7(), key.rjust(32, b"\0"), body.rjust(32, b"\0"))
