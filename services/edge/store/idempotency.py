"""What was answered under idempotency keys, on Postgres: claimed by one statement, kept for 24 hours, sealed.

Postgres may be away: then no key can be claimed (503), and calls without one do not notice.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from libs.common.db.errors import DatabaseError
from libs.common.db.pool import Database, Record
from libs.common.db.queries import load_queries
from libs.common.errors import Unavailable
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import Counter
from services.edge.domain.idempotency import Asking, Claim, Kept
from services.edge.domain.refusal import CODES, Refusal
from services.edge.store.sealed_answers import AnswerBroken, SealedAnswers

QUERIES: Final = load_queries(__package__)
KEPT_SECONDS: Final = 86_400
BODY_BYTES_MAX: Final = 1 << 20  # a larger answer is given once, and its key then says that it was carried out
ASK_SECONDS: Final = (
    2.0  # for one step; a caller waits no longer for the records, nor does a claim's holder begin later
)
CLAIM_MARGIN_SECONDS: Final = 5.0  # beyond the fence: `ASK_SECONDS` before the call, and as many after it
LOOKS_MAX: Final = 5  # a key that comes and goes between two statements so often is a storm: 503
ROWS_PER_SWEEP: Final = 5_000

CLAIMS = Counter("fangate_idempotency_claims_total", "Requests under an idempotency key by what was found", ["outcome"])
ANSWERS = Counter("fangate_idempotency_answers_total", "What became of claimed keys", ["outcome"])
# There from the start: a series that is born with its first failure has not risen, and its alert would miss it.
_UNAVAILABLE, _LOST = CLAIMS.labels("unavailable"), ANSWERS.labels("lost")
SWEPT = Counter("fangate_idempotency_swept_total", "Keys forgotten after 24 hours")

_NOT_KEPT: Final = (
    "The request was carried out, but its answer could not be kept: look before repeating it under a new key"
)
_log = logger(__name__)


class PostgresAnswers:
    """The port `KeptAnswers`, and its sweeper."""

    def __init__(self, db: Database, seals: SealedAnswers, *, fence_ms: int) -> None:
        """`fence_ms`: no call takes longer, from its reserve to its answer."""
        self._db = db
        self._seals = seals
        self._claim_s = fence_ms / 1_000 + CLAIM_MARGIN_SECONDS

    async def claim(self, asking: Asking, call_id: UUID) -> Claim | Kept:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                found = await self._claim(asking, call_id)
        except (Unavailable, DatabaseError, TimeoutError) as exc:
            _UNAVAILABLE.inc()
            raise Refusal("UNAVAILABLE", detail=f"idempotency keys: {exc or 'no answer in time'}") from exc
        except Refusal as refusal:
            CLAIMS.labels("in_progress" if refusal.status == 409 else "reused").inc()
            raise
        CLAIMS.labels("replayed" if isinstance(found, Kept) else "taken_over" if found.is_taken_over else "fresh").inc()
        return found

    async def _claim(self, asking: Asking, call_id: UUID) -> Claim | Kept:
        for _ in range(LOOKS_MAX):
            row = await self._db.fetchrow(
                QUERIES.claim, asking.org_id, asking.key_digest, asking.fingerprint, call_id, self._claim_s,
                float(KEPT_SECONDS),
            )  # fmt: skip
            if row is not None:
                return Claim(asking.org_id, asking.key_digest, row["call_id"], row["turn"], row["debits"])
            row = await self._db.fetchrow(QUERIES.find, asking.org_id, asking.key_digest)
            if row is None:
                continue  # freed in between
            if row["fingerprint"] != asking.fingerprint:
                raise Refusal("IDEMPOTENCY_KEY_REUSED")
            if row["status"] is None:
                raise Refusal("IDEMPOTENCY_IN_PROGRESS")
            return self._opened(row, asking)
        raise Unavailable(detail="the key comes and goes")

    def _opened(self, row: Record, asking: Asking) -> Kept:
        bound_to = _bound(asking.org_id, asking.key_digest, row["call_id"], row["status"], row["code"])
        try:
            if row["answer"] is not None:
                body = self._seals.open(row["sealed_by"], row["answer"], bound_to=bound_to)
                return Kept(row["status"], body, row["code"])
        except AnswerBroken as exc:
            _log.warning("a kept answer cannot be opened", call_id=str(row["call_id"]), error=str(exc))
        return Kept(CODES["OUTCOME_UNKNOWN"][0], _NOT_KEPT.encode(), "OUTCOME_UNKNOWN")

    async def keep(self, claim: Claim, kept: Kept) -> None:
        name, sealed = None, None
        if len(kept.body) <= BODY_BYTES_MAX:
            bound_to = _bound(claim.org_id, claim.key_digest, claim.call_id, kept.status, kept.code)
            name, sealed = self._seals.seal(kept.body, bound_to=bound_to)
        await self._settle("kept" if sealed else "too_large", QUERIES.keep, claim, kept.status, kept.code, name, sealed)

    async def free(self, claim: Claim) -> None:
        await self._settle("freed", QUERIES.free, claim)

    async def hold(self, claim: Claim, *, may_have_paid: bool = False) -> None:
        await self._settle("held", QUERIES.hold, claim, may_have_paid)

    async def sweep(self) -> None:
        """Forget what is older than 24 hours. Raises DatabaseAway."""
        while True:
            tag = await self._db.execute(QUERIES.sweep, float(KEPT_SECONDS), ROWS_PER_SWEEP)
            count = int(tag.rsplit(" ", 1)[1])
            SWEPT.inc(count)
            if count < ROWS_PER_SWEEP:
                return

    async def _settle(self, outcome: str, query: str, claim: Claim, *values: object) -> None:
        """One last step of a claim. Whatever fails here, the claim runs out, and the next try finds out by the call id."""
        async with _noted(claim):
            tag = await self._db.execute(query, claim.org_id, claim.key_digest, claim.call_id, claim.turn, *values)
            ANSWERS.labels(outcome if tag.endswith(" 1") else "taken_over").inc()


@asynccontextmanager
async def _noted(claim: Claim) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(ASK_SECONDS):
            yield
    except (Unavailable, DatabaseError, TimeoutError) as exc:
        _LOST.inc()
        _log.warning("an idempotency key was left to run out", call_id=str(claim.call_id), error=str(exc))


def _bound(org_id: UUID, key_digest: bytes, call_id: UUID, status: int, code: str) -> bytes:
    """What a sealed answer belongs to: rows cannot be exchanged, nor an error shown as a success."""
    return b"".join((org_id.bytes, key_digest, call_id.bytes, f"{status} {code}".encode()))
