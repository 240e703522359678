"""Remove a model: end its connection, wipe its secrets, and know it no more."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from libs.common.contracts.auth import Actor
from services.sessions.domain.errors import ModelNotFound
from services.sessions.domain.model import Change, Model, changed, deed_of
from services.sessions.domain.ports import Models, ModelStore, Provider
from services.sessions.usecases.disconnect_model import ended_by_user, wipe


@dataclass(frozen=True, slots=True)
class DeleteModel:
    """Doing it twice finds no model. The row stays for the books: usage names it."""

    store: ModelStore
    models: Models
    providers: Mapping[str, Provider]

    async def __call__(self, org_id: uuid.UUID, model_id: uuid.UUID, *, by: Actor) -> Model:
        """The model, deleted. Raises ModelNotFound."""
        async with self.store.exclusive(org_id, model_id) as held:
            contents = await held.load()
            if contents is None:
                raise ModelNotFound
            at_platform = await wipe(held, contents, self.providers)
            after = changed(contents.model, Change.DELETE_ASKED, reason=ended_by_user(at_platform))
            await held.save(contents.model, after)
            await held.note(deed_of(after, "delete", by, label=after.label, at_platform=at_platform))
        self.models.forget(model_id)
        return after
