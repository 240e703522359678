"""What an organization may use beyond the usual: the operator's switches."""

import uuid
from dataclasses import dataclass

from libs.common.contracts.auth import FEATURES
from services.auth.domain.errors import InvalidRequest
from services.auth.domain.ports import Accounts


@dataclass(frozen=True, slots=True)
class SetFeatures:
    """Switch features on and off, effective on the next call. Returns the features, and the auth version that holds from now on.
    Raises InvalidRequest (there is no such feature), NotFound.
    """

    accounts: Accounts

    async def __call__(
        self, org_id: uuid.UUID, *, enable: frozenset[str] = frozenset(), disable: frozenset[str] = frozenset()
    ) -> tuple[frozenset[str], int]:
        if unknown := sorted((enable | disable) - FEATURES):
            raise InvalidRequest(f"No such feature: {', '.join(unknown)}; there are: {', '.join(sorted(FEATURES))}")
        async with self.accounts.change(org_id) as change:
            features = (change.organization.features | enable) - disable
            if features == change.organization.features:
                return features, change.organization.av
            await change.set_features(features)
            return features, change.av
