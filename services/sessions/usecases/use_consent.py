"""Connect a model by its user's consent at the platform: a browser is sent there behind a connect link, and comes back once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts import models
from libs.common.contracts.auth import Actor
from libs.common.contracts.sessions import ConnectModel as ConnectJob
from libs.common.sealing import FormKeys
from services.sessions.domain.credentials import Pending
from services.sessions.domain.errors import InvalidRequest, LinkGone, NotPossible
from services.sessions.domain.link import LinkView
from services.sessions.domain.model import Change, State, changed, deed_of
from services.sessions.domain.ports import Consents, Contents, HeldModel, ModelStore, ModelViews
from services.sessions.usecases.connect_now import ConnectNow
from services.sessions.usecases.use_link import read_form, shown

CODE_LENGTH_MAX: Final = 2_048
DENIED: Final = "access_denied"
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@dataclass(frozen=True, slots=True)
class UseConsent:
    """`consents` by provider. A link can be started again, as long as it lasts: the newest start counts."""

    store: ModelStore
    views: ModelViews
    consents: Mapping[str, Consents]
    connect_now: ConnectNow
    clock: Clock
    keys: FormKeys

    async def start(self, asked: models.StartConsent) -> models.ConsentStarted:
        """Where the browser goes. Raises LinkGone, InvalidRequest, NotPossible for a model that is connected already."""
        view = await self.views.find_link(asked.link, self.clock.now())
        if view is None or view.is_used:
            raise LinkGone
        consents = self.consents.get(view.provider)
        if consents is None:
            raise InvalidRequest(f"provider: {view.provider} does not ask for consent, or is not set up here")
        if view.step != "consent":
            raise NotPossible(f"Model is {view.state}: there is nothing to ask for")
        if len(asked.consent) != len(asked.link) or not _CHALLENGE.fullmatch(asked.challenge):
            raise InvalidRequest("consent, challenge: digests are expected")
        async with self.store.exclusive(view.link.org_id, view.link.model_id) as held:
            if not await held.take_attempt(asked.link, self.clock.now()):
                raise LinkGone
            await held.begin_consent(asked.link, asked.consent)
        return models.ConsentStarted(url=consents.url(asked.challenge))

    async def finish(self, asked: models.FinishConsent) -> models.LinkShown:
        """Take what the browser came back with, connect, and answer what came of it. Raises LinkGone for a browser that nobody
        waits for (any more), InvalidRequest, FormKeyUnknown.
        """
        view = await self.views.find_consent(asked.consent, self.clock.now())
        if view is None:
            raise LinkGone
        problem = self._problem(asked, view)
        pending = Pending() if problem else self._opened(asked)
        link = view.link
        async with self.store.exclusive(link.org_id, link.model_id) as held:
            contents = await held.load()
            # First of all: what comes a second time must not reach the platform.
            if contents is None or not await held.take_consent(asked.consent, problem):
                raise LinkGone
            if not problem:
                await self._take(held, contents, pending, asked.address)
        if not problem:
            await self.connect_now(link.org_id, link.model_id)
        after = await self.views.find_link(link.digest, self.clock.now())
        if after is None:
            raise LinkGone
        return shown(after)

    def _problem(self, asked: models.FinishConsent, view: LinkView) -> str:
        """Why there is no code to exchange; "" = there is one."""
        consents = self.consents.get(view.provider)
        if consents is None:
            return "consent_failed"
        if asked.issuer and asked.issuer.rstrip("/") != consents.issuer.rstrip("/"):
            # An answer of another platform: its code is shown to nobody (RFC 9700, section 2.1).
            return "consent_mixed_up"
        if asked.error == DENIED:
            return "consent_denied"
        return "consent_failed" if asked.error else ""

    def _opened(self, asked: models.FinishConsent) -> Pending:
        form = read_form(self.keys, asked.sealed, bound_to=asked.consent)
        if not 1 <= len(form.code) <= CODE_LENGTH_MAX or not _VERIFIER.fullmatch(form.verifier):
            raise InvalidRequest("A code and its verifier are expected")
        return Pending(code=form.code, verifier=form.verifier)

    async def _take(self, held: HeldModel, contents: Contents, pending: Pending, address: str) -> None:
        """Take down the code, and enqueue its exchange; a model that was connected meanwhile stays as it is."""
        before = contents.model
        if before.state in (State.CONNECTED, State.REFRESHING):
            return
        after = changed(before, Change.CONNECT_ASKED)
        await held.keep_pending(after, pending)
        await held.save(before, after)
        await held.nudge(ConnectJob(org_id=after.org_id, model_id=after.model_id))
        await held.note(deed_of(after, "use_link", Actor(address=address, is_link=True), typed="consent"))
