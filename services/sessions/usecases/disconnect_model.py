"""End a model's connection, as the user wishes: sign out at the platform, wipe what the vault holds."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from libs.common.contracts.auth import Actor
from services.sessions.domain.errors import ModelNotFound, PlatformTrouble, SignInRefused
from services.sessions.domain.model import Change, Model, State, changed, deed_of
from services.sessions.domain.ports import Contents, HeldModel, Models, ModelStore, Provider


@dataclass(frozen=True, slots=True)
class DisconnectModel:
    """Doing it twice changes nothing."""

    store: ModelStore
    models: Models
    providers: Mapping[str, Provider]

    async def __call__(self, org_id: uuid.UUID, model_id: uuid.UUID, *, by: Actor) -> Model:
        """The model, disconnected. Raises ModelNotFound. The platform may be away: the secrets are wiped all the same."""
        async with self.store.exclusive(org_id, model_id) as held:
            contents = await held.load()
            if contents is None:
                raise ModelNotFound
            before = contents.model
            if before.state is State.DISCONNECTED:
                return before
            at_platform = await wipe(held, contents, self.providers)
            after = changed(before, Change.DISCONNECT_ASKED, reason=ended_by_user(at_platform))
            await held.save(before, after)
            await held.note(deed_of(after, "disconnect", by, label=after.label, at_platform=at_platform))
        self.models.forget(model_id)
        return after


def ended_by_user(at_platform: str) -> str:
    """The reason of a model that its user let go: it says where the platform may not know of it yet."""
    return "platform_not_reached" if at_platform == "not_reached" else "by_user"


async def wipe(held: HeldModel, contents: Contents, providers: Mapping[str, Provider]) -> str:
    """Sign a model out at its platform and forget its secrets and links. The platform may be away: they go all the same.

    Answers what became of the session there: `ended`, `not_reached`, or `none` where there was none.
    """
    at_platform = "none"
    if contents.session is not None:
        # Best effort: a session we forget is of no use to anybody. That of a password ends by itself; of a grant its user can
        # see at the platform that it lives, so that it is told where it could not be ended.
        try:
            await providers[contents.model.provider].sign_out(contents.session)
            at_platform = "ended"
        except (PlatformTrouble, SignInRefused):
            at_platform = "not_reached"
    await held.keep_session(contents.model, None)
    await held.keep_pending(contents.model, None)
    await held.keep_credentials(contents.model, None)
    await held.replace_links(contents.model, None)
    return at_platform
