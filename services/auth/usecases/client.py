"""Which app calls: by its secret if it can keep one, else by its name alone."""

import hmac
from dataclasses import dataclass

from libs.common.clock import Clock
from libs.common.contracts.apps import ClientProof
from services.auth.domain.app import KnownClient, Secret
from services.auth.domain.app_ports import AppsRead


@dataclass(frozen=True, slots=True)
class AuthenticateClient:
    """The app, or None: unknown, not in good standing, no or a wrong secret, or a secret from an app that has none."""

    apps: AppsRead
    active_pepper: str
    clock: Clock

    async def __call__(self, proof: ClientProof) -> KnownClient | None:
        client = await self.apps.client(proof.client_id)
        if client is None or not client.may_act:
            return None
        if not client.app.is_confidential:
            return None if proof.secret else client
        now = self.clock.now()
        found = next((each for each in client.secrets if each.is_live(now) and _opens(proof, each)), None)
        if found is None:
            return None
        await self._move_to_active_pepper(found, proof)
        return client

    async def _move_to_active_pepper(self, secret: Secret, proof: ClientProof) -> None:
        if secret.pepper == self.active_pepper:
            return
        for each in proof.secret:
            if each.pepper == self.active_pepper:
                await self.apps.rewrite_secret(secret, pepper=each.pepper, digest=each.digest)


def _opens(proof: ClientProof, secret: Secret) -> bool:
    return any(
        each.pepper == secret.pepper and hmac.compare_digest(each.digest, secret.digest) for each in proof.secret
    )
