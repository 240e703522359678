"""Create a model: with a link behind which its user types the credentials, or, of the sandbox, connected at once."""

from collections.abc import Collection
from dataclasses import dataclass

from libs.common.clock import Clock
from libs.common.contracts import models
from libs.common.contracts.sessions import ConnectModel as ConnectJob
from libs.common.ids import uuid7
from services.sessions.domain.credentials import Credentials
from services.sessions.domain.errors import InvalidRequest
from services.sessions.domain.link import LINK_LIFE, Link
from services.sessions.domain.model import Model, State, checked_label, deed_of
from services.sessions.domain.ports import ModelStore, ModelViews
from services.sessions.usecases.connect_now import ConnectNow

SANDBOX = "sandbox"


@dataclass(frozen=True, slots=True)
class CreateModel:
    """`sandbox_password` opens every account of the sandbox platform; `providers` are those that are set up."""

    store: ModelStore
    views: ModelViews
    connect_now: ConnectNow
    clock: Clock
    providers: Collection[str]
    sandbox_password: str

    async def __call__(self, asked: models.CreateModel) -> models.ModelAnswer:
        """The model, and until when its link works. Raises InvalidRequest, LabelTaken."""
        label = checked_label(asked.label)
        if asked.provider not in self.providers:
            known = ", ".join(sorted(self.providers))
            raise InvalidRequest(f"provider: {asked.provider} is not set up here; expected one of {known}")
        if asked.sandbox_only and asked.provider != SANDBOX:
            raise InvalidRequest("provider: a sandbox key connects models of provider sandbox only")
        model = Model(
            model_id=uuid7(), org_id=asked.org_id, provider=asked.provider, label=label, state=State.CONNECTING
        )
        deed = deed_of(model, "connect", asked.by, provider=model.provider, label=label)
        link: Link | None = None
        if asked.provider == SANDBOX and not asked.wants_link:
            # Any address of the sandbox's domain is an account of its own.
            credentials = Credentials(email=f"{model.model_id.hex}@sandbox.test", password=self.sandbox_password)
            job = ConnectJob(org_id=model.org_id, model_id=model.model_id)
            await self.store.create(model, credentials, None, job, deed=deed)
            await self.connect_now(model.org_id, model.model_id)
        else:
            link = Link(asked.link, model.org_id, model.model_id, self.clock.now() + LINK_LIFE)
            await self.store.create(model, None, None, None, link, deed=deed)
        shown = await self.views.show(model.org_id, model.model_id)
        assert shown is not None, "created a moment ago"
        return models.ModelAnswer(model=shown, link_expires_at=link.expires_at if link else None)
