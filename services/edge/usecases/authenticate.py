"""Who is calling? Rows 4 and 4a of the order of checks: a key becomes a principal, or a 401, or a 429."""

from dataclasses import dataclass
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.auth import Principal
from libs.common.ids import key_kind
from libs.common.peppers import PepperRing
from services.edge.domain.ports import Credential, Failures, KeyUses, Principals
from services.edge.domain.principal import is_expired
from services.edge.domain.refusal import Refusal

# Kinds that make calls; a refresh token or an app secret is well-formed too, and opens nothing here.
CALLER_KINDS: Final = frozenset({"organization", "sandbox", "personal", "oauth_access"})


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Find the principal of a key; slow down who guesses."""

    ring: PepperRing
    principals: Principals
    failures: Failures
    uses: KeyUses
    clock: Clock

    async def __call__(self, key: str, address: str) -> tuple[Credential, Principal]:
        """`address` is the client's; whether it is blocked is asked only for keys that are not known already: good
        keys behind one NAT with a guesser pass. A malformed key is always a 401: it can open nothing, so it counts for
        nothing. Raises Refusal (401, 429, 503).
        """
        # Before any I/O: garbage costs a microsecond, and a block for it would only hit its neighbours.
        kind = key_kind(key)
        if kind not in CALLER_KINDS:
            raise Refusal("INVALID_API_KEY")
        credential = Credential(kind, self.ring.digests(key))
        caller = self.principals.known(credential)
        if caller is None:
            caller = await self._resolve(credential, address)
        elif is_expired(caller, self.clock.now_ms()):
            await self.failures.count(address)
            raise Refusal("INVALID_API_KEY")
        self.uses.saw(caller, address)
        return credential, caller

    async def _resolve(self, credential: Credential, address: str) -> Principal:
        # Asking about a key that was good is no guess: who uses one seldom is not locked out by a guesser beside him.
        blocked_ms = 0 if self.principals.was_good(credential) else self.failures.blocked_ms(address)
        if blocked_ms > 0:
            raise Refusal("TOO_MANY_FAILED_AUTH", retry_after_s=-(-blocked_ms // 1000))
        caller = await self.principals.resolve(credential)
        if caller is None or is_expired(caller, self.clock.now_ms()):
            await self.failures.count(address)
            raise Refusal("INVALID_API_KEY")
        return caller
