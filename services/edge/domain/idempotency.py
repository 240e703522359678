"""What an `Idempotency-Key` names, and what becomes of it when its request is not answered with a 2xx.

Here are pure rules; the order of steps is in `usecases/replay_answer.py`, the records are in `store/idempotency.py`.
"""

import enum
import hashlib
import re
from typing import Final
from uuid import UUID

import msgspec

from libs.common.contracts.auth import Principal
from libs.common.ids import derived_id, id_ms
from services.edge.domain.catalogue import Route
from services.edge.domain.refusal import Refusal

KEY_HEADER: Final = "Idempotency-Key"
KEY_LENGTH_MAX: Final = 255
_BARE: Final = re.compile(rf"[ -~]{{1,{KEY_LENGTH_MAX}}}")
_QUOTED: Final = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')  # an sf-string of RFC 8941
_ESCAPE: Final = re.compile(r'\\(["\\])')

# What the platform, or the service that owns the object, said about this very request; said again under the same key.
_DEFINITE: Final = frozenset(
    {"UPSTREAM_REJECTED", "UPSTREAM_FORBIDDEN", "UPSTREAM_NOT_FOUND", "OF_API_ERROR", "OUTCOME_UNKNOWN",
     "NOT_FOUND", "MODEL_NOT_FOUND", "ROUTE_NOT_SUPPORTED"}
)  # fmt: skip
# Nobody said whether it was carried out, but nobody did it twice either.
_OPEN: Final = frozenset({"UNAVAILABLE", "UPSTREAM_TIMEOUT"})


class Asking(msgspec.Struct, frozen=True):
    """A request under a key. Two requests with one key are the same if their fingerprints are."""

    org_id: UUID
    key_digest: bytes
    fingerprint: bytes


class Claim(msgspec.Struct, frozen=True):
    """A key that is ours to answer. `turn` > 1: somebody began before us under `call_id` and was not seen to finish. `debits`: under
    how many ids the request may be paid by the end of this turn.
    """

    org_id: UUID
    key_digest: bytes
    call_id: UUID
    turn: int
    debits: int = 1

    @property
    def is_taken_over(self) -> bool:
        return self.turn > 1

    @property
    def debit_id(self) -> UUID:
        """Under which this turn pays: the debit of an earlier one may be voided, and what is void stays so."""
        return self._debit_id(self.debits)

    @property
    def earlier_debits(self) -> tuple[UUID, ...]:
        """Under which turns before this one may have paid."""
        return tuple(self._debit_id(number) for number in range(1, self.debits))

    def _debit_id(self, number: int) -> UUID:
        return self.call_id if number == 1 else derived_id(id_ms(self.call_id), f"debit:{self.call_id}:{number}")


class Kept(msgspec.Struct, frozen=True):
    """An answer as it is given, and given again: the body of a success, or the text of the error `code`."""

    status: int
    body: bytes
    code: str = ""


class Fate(enum.Enum):
    """What becomes of a key whose request was refused."""

    KEEP = "keep"  # the refusal is the answer for 24 hours
    FREE = "free"  # nothing happened: the key is unused again
    HOLD = "hold"  # the same request may go on at once, under the same call id
    LEAVE = "leave"  # nobody knows what goes on: the same, once the claim has run out


def key_of(values: list[str]) -> str:
    """The key in the header's values: a quoted sf-string or a bare token, which name the same. Raises Refusal (400)."""
    if len(values) == 1:
        value = values[0].strip()
        if quoted := _QUOTED.fullmatch(value):
            value = _ESCAPE.sub(r"\1", quoted[1])
        elif value.startswith('"'):
            value = ""
        if _BARE.fullmatch(value):
            return value
    raise Refusal(
        "INVALID_REQUEST", f"{KEY_HEADER}: one key of 1 to {KEY_LENGTH_MAX} printable ASCII characters is expected"
    )


def asking_of(key: str, caller: Principal, route: Route, *, target: str, version: str, body: bytes) -> Asking:
    """`target` is path and query as they were sent. What the caller's key is bound to belongs to the request: a key that
    sees less than another never gets the other's answer, and an answer with a secret goes only to the key that asked.
    """
    bound = str(caller.key_id) if route.shows_secret else f"{caller.model_id or ''}{'s' * (caller.kind == 'sandbox')}"
    fingerprint = hashlib.sha256()
    for part in (route.method.encode(), target.encode(), version.encode(), bound.encode(), body):
        fingerprint.update(len(part).to_bytes(8) + part)
    return Asking(caller.org_id, hashlib.sha256(key.encode()).digest(), fingerprint.digest())


def fate_of(refusal: Refusal, route: Route, *, has_left: bool, is_taken_over: bool) -> Fate:
    """What becomes of the key. `has_left`: the request was handed to another service, as far as this process can tell."""
    if not has_left or refusal.is_unsent:
        # Not by us: who began before us may have come further, and only its call id can tell.
        return Fate.HOLD if is_taken_over else Fate.FREE
    if refusal.code in _DEFINITE or (refusal.code == "UPSTREAM_TIMEOUT" and not route.may_repeat):
        return Fate.KEEP
    if refusal.code in _OPEN:
        return Fate.HOLD
    return Fate.LEAVE if refusal.code == "INTERNAL_ERROR" else Fate.FREE
