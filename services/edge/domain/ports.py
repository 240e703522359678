"""What the use cases need, not how it is done. Every method that refuses a caller raises `Refusal`."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from libs.common.contracts.auth import Principal
from libs.common.contracts.billing import LeaseOpened
from libs.common.contracts.edge import KeyCall, Usage
from libs.common.contracts.envelope import Message
from libs.common.contracts.models import Form
from libs.common.contracts.sessions import Proxy
from services.edge.domain.catalogue import Route
from services.edge.domain.idempotency import Asking, Claim, Kept
from services.edge.domain.upstream import Upstream
from services.edge.domain.windows import Windows


class Credential(msgspec.Struct, frozen=True):
    """A well-formed key as the digests of its pepper ring, active first: `(pepper name, 64 hex digits)`."""

    kind: str
    digests: tuple[tuple[str, str], ...]

    @property
    def id(self) -> str:
        """The name under which caches keep its principal."""
        return self.digests[0][1]


class Reserved(msgspec.Struct, frozen=True):
    """An admitted call: what it may spend and what it is shown. Without a lease (`cost` 0) there is nothing to release."""

    org_id: UUID
    cost: int
    balance: int | None  # after this call; work in flight is already off. None: a free call, and no lease to tell by
    windows: Windows
    lease_id: UUID | None = None
    is_local: bool = False  # admitted in this process while Redis is away, from the lease held here


class PrincipalCold(Exception):
    """The store knows no auth version of this organization: only `auth` can say what stands."""


class PrincipalStale(Exception):
    """The store's auth version is not the principal's. `av` is the store's."""

    def __init__(self, av: int) -> None:
        self.av = av
        super().__init__(f"the store says {av}")


class AdmissionAway(Exception):
    """The store cannot be asked. Whether the last question had an effect is unknown: nothing is given back."""


class Admission(Protocol):
    """Windows and credits of one call, decided at once."""

    async def reserve(self, caller: Principal, route: Route, *, cost: int, is_counted: bool = True) -> Reserved:
        """Count the call and set `cost` credits aside; nothing is counted unless all passes. Not `is_counted`: the windows
        are only looked at, and refuse nothing. Raises Refusal (429, 402,
        503), PrincipalCold, PrincipalStale, AdmissionAway.
        """
        ...

    async def release(self, reserved: Reserved) -> None:
        """Give the credits back. Once; never repeated when the outcome is unknown. Raises nothing."""
        ...


class VersionedAdmission(Admission, Protocol):
    """An admission shared by all edges, where the auth version is compared."""

    async def raise_version(self, org_id: UUID, av: int) -> int:
        """Make `av` the organization's auth version unless a higher one stands; the one that stands. AdmissionAway."""
        ...


class Principals(Protocol):
    """Who is behind a credential."""

    async def resolve(self, credential: Credential, *, age_ms_max: int | None = None) -> Principal | None:
        """The principal, at most `age_ms_max` old (None: the cache's own bound); None if nobody is. Raises Refusal (503)
        when that cannot be said.
        """
        ...

    async def resolve_anew(self, credential: Credential) -> Principal | None:
        """The same, from `auth` and never from the cache."""
        ...

    def was_good(self, credential: Credential) -> bool:
        """Whether this key opened something here before, and nobody has said since that it does not."""
        ...

    def known(self, credential: Credential) -> Principal | None:
        """What the cache says, without waiting."""
        ...


class KeyDirectory(Protocol):
    """`auth`, asked over the bus."""

    async def find(self, digests: tuple[tuple[str, str], ...]) -> Principal | None:
        """The principal of the key with one of these digests, None if there is none. Raises Refusal (503)."""
        ...


class Failures(Protocol):
    """Failed authentications, by client address."""

    def blocked_ms(self, address: str) -> int:
        """How long `address` is still blocked, as far as this process knows. No I/O."""
        ...

    async def count(self, address: str) -> None:
        """One more failure. Raises nothing: without its store it counts in this process."""
        ...


class Pace(Protocol):
    """How many calls somebody makes in a window of time. Neither raises anything: without its store it counts in this process."""

    async def take(self, who: str) -> int:
        """Count one more call; or do not, and answer how many milliseconds to wait: it is one too many."""
        ...

    async def give_back(self, who: str) -> None:
        """A call that was counted is not to count."""
        ...


class KeyUses(Protocol):
    """Where keys are used from."""

    def saw(self, caller: Principal, address: str) -> None:
        """One authenticated call. No I/O; raises nothing, refuses nothing."""
        ...


class Leases(Protocol):
    """Credits to spend, from billing."""

    async def open_lease(self, org_id: UUID, *, holder: str, ref: str, cost: int) -> LeaseOpened:
        """At least `cost` credits for `holder`. Raises Refusal (402 with `required` and `balance`, 503), CreditsInUse."""
        ...


class CreditsInUse(Exception):
    """The credits exist, and leases hold them all for now."""


class Sessions(Protocol):
    """The calls to platforms."""

    async def proxy(self, call: Proxy, body: bytes, *, deadline_ms: int, may_repeat: bool) -> Upstream:
        """The platform's answer. Raises Refusal: 404, 424, 502, 503 (nothing was sent), 504 (`OUTCOME_UNKNOWN` unless
        `may_repeat`).
        """
        ...


class Services(Protocol):
    """The other services, as own routes ask them."""

    async def ask(
        self, command: Message, *, org_id: UUID | None, deadline_ms: int, may_repeat: bool, blob: bytes = b""
    ) -> Message:
        """The reply to an rpc; `blob` goes with the command as it is. Raises Refusal: the service's own (4xx, 503), 503 (nothing was sent), 504 (`OUTCOME_UNKNOWN`
        unless `may_repeat`), 500 for a defect of the service.
        """
        ...


class Forms(Protocol):
    """What users type and nobody between here and sessions may read."""

    async def seal(self, form: Form, *, bound_to: bytes) -> bytes:
        """`form`, sealed for one purpose. Raises Refusal (503) when the key to seal it to cannot be had."""
        ...


class SealedPasswords(Protocol):
    """Passwords, which auth alone may read."""

    async def seal(self, password: str, *, bound_to: bytes) -> bytes:
        """`password`, sealed for one purpose. Raises Refusal (503) when the key to seal it to cannot be had."""
        ...


class UsageLog(Protocol):
    """The record of what is to be paid."""

    async def record(self, usage: Usage, *, fence_at_ms: int) -> None:
        """Return once the broker has confirmed, before `fence_at_ms` of the stopwatch. Raises Refused (certainly not
        recorded), Unconfirmed (perhaps recorded: it will be voided, its credits must not be given back).
        """
        ...

    async def void(self, org_id: UUID, ids: Sequence[UUID]) -> None:
        """Undo the debits `ids`, whether they were recorded, will be, or never are. Returns once the broker has confirmed. Raises
        Refused, Unconfirmed; it can be repeated.
        """
        ...


class KeptAnswers(Protocol):
    """What was answered under idempotency keys. Whatever goes wrong after `claim` is made up for by the claim's running out."""

    async def claim(self, asking: Asking, call_id: UUID) -> Claim | Kept:
        """The key for us to answer, under `call_id` or that of whoever began before us; or the answer that was kept. Raises
        Refusal: 409 (in progress), 422 (another request), 503 (the records cannot be asked: nothing may be begun).
        """
        ...

    async def keep(self, claim: Claim, kept: Kept) -> None:
        """Give `kept` to everybody who repeats the request, unless the claim was taken over. Raises nothing."""
        ...

    async def free(self, claim: Claim) -> None:
        """The key is unused again. Raises nothing."""
        ...

    async def hold(self, claim: Claim, *, may_have_paid: bool = False) -> None:
        """Whoever repeats the request goes on under the call id at once, and under the same debit id unless this turn may have paid
        under it. Raises nothing.
        """
        ...


class CallLog(Protocol):
    """Who called, for people: neither method waits or raises, and what a killed process had not told is lost."""

    def saw(self, org_id: UUID, key_id: UUID, *, surface: str, version: str) -> None:
        """Some key called; `version` is empty if it named none that there is."""
        ...

    def saw_users(self, call: KeyCall) -> None:
        """A user's key called; beside `saw`."""
        ...
