"""Which model a caller means who names an account by the platform's number instead of a model by its UUID."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.sessions.domain.errors import InvalidRequest, ModelNotFound
from services.sessions.domain.model import State

_LET_GO: Final = frozenset({State.DISCONNECTED, State.CONNECT_FAILED})  # the number may belong to another model by now


@dataclass(frozen=True, slots=True)
class Holder:
    """A model that has, or had, the account."""

    model_id: uuid.UUID
    provider: str
    state: State


def meant(holders: Sequence[Holder], *, sandbox_only: bool) -> uuid.UUID:
    """The model that an account number means, among its `holders` in one organization, newest first.

    Raises ModelNotFound when there is none, InvalidRequest when two platforms know the number.
    """
    seen = [holder for holder in holders if holder.provider == "sandbox" or not sandbox_only]
    # A model that let go still answers for its number (424 says why), but only while nobody else holds it.
    candidates = [holder for holder in seen if holder.state not in _LET_GO] or seen
    if not candidates:
        raise ModelNotFound
    if len({holder.provider for holder in candidates}) > 1:
        raise InvalidRequest("account: accounts on two platforms have this number: use the model's UUID")
    return candidates[0].model_id
