"""What an organization asks of its models by name: show, list, rename, disconnect, delete, reconnect, answer a challenge.

Each command is checked and answered here; the work itself is in the use case of its name. A model of another organization,
or of another provider than the sandbox to the holder of a sandbox key, is absent.
"""

import contextlib
import uuid
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from libs.common.clock import Clock
from libs.common.contracts import models
from libs.common.contracts.sessions import ModelManaged
from libs.common.sealing import FormKeys
from services.sessions.domain.errors import InvalidRequest, ModelNotConnected, ModelNotFound, NotPossible, SyncLost
from services.sessions.domain.link import LINK_LIFE, Link
from services.sessions.domain.model import State, checked_label, deed_of
from services.sessions.domain.ports import ModelStore, ModelViews
from services.sessions.usecases.connect_model import give
from services.sessions.usecases.connect_now import ConnectNow
from services.sessions.usecases.create_model import SANDBOX
from services.sessions.usecases.delete_model import DeleteModel
from services.sessions.usecases.disconnect_model import DisconnectModel
from services.sessions.usecases.proxy_call import Refresh
from services.sessions.usecases.refresh_session import Why
from services.sessions.usecases.use_link import opened_form

PAGE_MAX: Final = 200


class OfModel(Protocol):
    """A command about one model."""

    @property
    def org_id(self) -> uuid.UUID: ...

    @property
    def model_id(self) -> uuid.UUID: ...

    @property
    def sandbox_only(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class ManageModel:
    """Every verb raises ModelNotFound."""

    store: ModelStore
    views: ModelViews
    refresh: Refresh
    connect_now: ConnectNow
    disconnect_model: DisconnectModel
    delete_model: DeleteModel
    clock: Clock
    keys: FormKeys

    async def show(self, asked: OfModel) -> models.ModelShown:
        """The model as it stands."""
        provider = SANDBOX if asked.sandbox_only else ""
        shown = await self.views.show(asked.org_id, asked.model_id, provider=provider)
        if shown is None:
            raise ModelNotFound
        return shown

    async def page(self, asked: models.ListModels) -> models.ModelPage:
        """One page of the list."""
        limit = max(1, min(asked.limit, PAGE_MAX))
        provider = SANDBOX if asked.sandbox_only else ""
        found = await self.views.page(
            asked.org_id, limit=limit + 1, after=asked.after, provider=provider, only=asked.model_id
        )
        next_after = found[limit - 1].model_id if len(found) > limit else None
        return models.ModelPage(models=tuple(found[:limit]), next_after=next_after)

    async def update(self, asked: models.UpdateModel) -> models.ModelAnswer:
        """Rename. Raises InvalidRequest, LabelTaken."""
        shown, label = await self.show(asked), checked_label(asked.label)
        if label == shown.label:
            return models.ModelAnswer(model=shown)
        details = {"label": {"from": shown.label, "to": label}}
        deed = ModelManaged(org_id=asked.org_id, model_id=asked.model_id, action="update", by=asked.by, details=details)
        await self.store.rename(label, deed)
        return models.ModelAnswer(model=await self.show(asked))

    async def disconnect(self, asked: models.DisconnectModel) -> models.ModelAnswer:
        """End the connection; a new one needs a new link."""
        await self.show(asked)
        await self.disconnect_model(asked.org_id, asked.model_id, by=asked.by)
        return models.ModelAnswer(model=await self.show(asked))

    async def delete(self, asked: models.DeleteModel) -> models.ModelAnswer:
        """Remove the model: the answer is the last that is seen of it."""
        last = await self.show(asked)
        gone = await self.delete_model(asked.org_id, asked.model_id, by=asked.by)
        return models.ModelAnswer(
            model=msgspec.structs.replace(last, state=str(gone.state), reason=gone.reason, version=gone.version)
        )

    async def reconnect(self, asked: models.ReconnectModel) -> models.ModelAnswer:
        """Try what the vault holds (R16). Where that does not end in a connection, take the link."""
        shown = await self.show(asked)
        if shown.state in (State.CONNECTED, State.REFRESHING):
            return models.ModelAnswer(model=shown)
        if shown.state == State.SYNC_LOST:
            # What came of it is in the model's state and reason; the platform's own trouble leaves it as it was.
            with contextlib.suppress(SyncLost, ModelNotConnected):
                await self.refresh(asked.org_id, asked.model_id, stale=0, why=Why.ASKED)
            shown = await self.show(asked)
        link: Link | None = None
        if shown.state not in (State.CONNECTED, State.REFRESHING):
            link = Link(asked.link, asked.org_id, asked.model_id, self.clock.now() + LINK_LIFE)
        async with self.store.exclusive(asked.org_id, asked.model_id) as held:
            if (contents := await held.load()) is None:
                raise ModelNotFound
            if link is not None:
                await held.replace_links(contents.model, link)
            await held.note(deed_of(contents.model, "reconnect", asked.by, state=str(shown.state)))
        return models.ModelAnswer(
            model=await self.show(asked), link_expires_at=None if link is None else link.expires_at
        )

    async def submit_code(self, asked: models.SubmitCode) -> models.ModelAnswer:
        """Answer the challenge. Raises InvalidRequest, FormKeyUnknown, NotPossible when none is open."""
        shown = await self.show(asked)
        form = opened_form(self.keys, asked.sealed, bound_to=asked.model_id.bytes)
        if not form.code:
            raise InvalidRequest("code: a code is expected")
        if shown.state != State.AWAITING_2FA:
            raise NotPossible(f"Model is {shown.state}: no code is asked for")
        async with self.store.exclusive(asked.org_id, asked.model_id) as held:
            if (contents := await held.load()) is None:
                raise ModelNotFound
            await give(held, contents, None, form.code)
            await held.note(deed_of(contents.model, "submit_code", asked.by))
        await self.connect_now(asked.org_id, asked.model_id)
        return models.ModelAnswer(model=await self.show(asked))
