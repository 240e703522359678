"""Who is calling: from the digests of a key or an app's token to the principal that every check of a request rests on."""

from collections.abc import Sequence
from dataclasses import dataclass

from libs.common.clock import Clock
from libs.common.contracts.auth import KeyDigest, Principal
from services.auth.domain.errors import InvalidApiKey
from services.auth.domain.grant import token_principal_of
from services.auth.domain.key import Key, principal_of
from services.auth.domain.ports import KeyHolders


@dataclass(frozen=True, slots=True)
class ResolveKey:
    """Find a key's principal, as of now. Raises InvalidApiKey, the same for every key that opens nothing."""

    holders: KeyHolders
    active_pepper: str
    clock: Clock

    async def __call__(self, digests: Sequence[KeyDigest]) -> Principal:
        wanted = [each.digest for each in digests]
        holder = await self.holders.find(wanted)
        if holder is None:
            return await self._of_token(wanted)
        principal = principal_of(holder, self.clock.now())
        # After the check: only a key in use moves to the new pepper.
        await self._move_to_active_pepper(holder.key, digests)
        return principal

    async def _of_token(self, digests: Sequence[str]) -> Principal:
        holder = await self.holders.find_token(digests)
        if holder is None:
            raise InvalidApiKey(detail="no key has any of these digests")
        return token_principal_of(holder, self.clock.now())  # it lives for an hour: no pepper is outlived by it

    async def _move_to_active_pepper(self, key: Key, digests: Sequence[KeyDigest]) -> None:
        if key.pepper == self.active_pepper:
            return
        for each in digests:
            # A caller whose ring does not hold the active pepper yet cannot help: the row stays where that caller finds it.
            if each.pepper == self.active_pepper:
                await self.holders.rewrite_digest(key, pepper=each.pepper, digest=each.digest)
