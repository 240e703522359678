"""Connect a model: take its credentials into the vault, then sign in, perhaps with a two-factor code."""

import contextlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.auth import Actor
from libs.common.contracts.sessions import ConnectModel as ConnectJob
from libs.common.errors import RetryAfter, Transient
from libs.common.ids import uuid7
from services.sessions.domain.credentials import Credentials, Pending
from services.sessions.domain.errors import ChallengeExpired, NotPossible, PlatformTrouble, SignInRefused
from services.sessions.domain.model import Change, Model, State, changed, deed_of, signed_in
from services.sessions.domain.ports import (
    CodeAsked,
    Consents,
    Contents,
    HeldModel,
    Models,
    ModelStore,
    Provider,
    SignedIn,
)

CODES_MAX: Final = 3  # codes for one challenge, then the model has to be signed in anew


class CodeRefused(SignInRefused):
    """The platform refused a code, and another may be tried. `pending` is what is kept for that."""

    def __init__(self, reason: str, pending: Pending) -> None:
        super().__init__(reason)
        self.pending = pending


@dataclass(frozen=True, slots=True)
class AskConnect:
    """Take down what the operator wants connected. The secrets go into the vault; the job that is enqueued names the model only.

    A label stands for one account of a provider: asking again gives the same model new credentials, or its code.
    """

    store: ModelStore

    async def __call__(
        self, org_id: uuid.UUID, *, provider: str, label: str, credentials: Credentials, code: str = ""
    ) -> Model:
        """The model, on its way. One that is connected stays as it is."""
        pending = Pending(code=code) if code else None
        known = await self.store.find_labelled(org_id, provider, label)
        if known is None:
            fresh = Model(model_id=uuid7(), org_id=org_id, provider=provider, label=label, state=State.CONNECTING)
            job = ConnectJob(org_id=org_id, model_id=fresh.model_id)
            deed = deed_of(fresh, "connect", Actor(), provider=provider, label=label)
            await self.store.create(fresh, credentials, pending, job, deed=deed)
            return fresh
        async with self.store.exclusive(org_id, known.model_id) as held:
            contents = await held.load()
            assert contents is not None, "found a moment ago, and rows are never deleted"
            after = await give(held, contents, credentials, code)
            if after != contents.model:
                await held.note(deed_of(after, "connect", Actor(), provider=provider, label=label))
            return after


async def give(held: HeldModel, contents: Contents, credentials: Credentials | None, code: str) -> Model:
    """Take down credentials, a code, or both for a model that is held, and enqueue its sign-in. A connected one stays as it
    is. Raises NotPossible for a code that nobody asked for.
    """
    before = contents.model
    if before.state in (State.CONNECTED, State.REFRESHING):
        return before
    is_code = before.state is State.AWAITING_2FA and bool(code)
    if credentials is None and not is_code:
        raise NotPossible(f"Model is {before.state}: no code is asked for")
    after = changed(before, Change.CODE_GIVEN if is_code else Change.CONNECT_ASKED)
    pending = Pending(code=code) if code else None
    if is_code and contents.pending is not None:
        pending = msgspec.structs.replace(contents.pending, code=code)
    if credentials is not None:
        await held.keep_credentials(after, credentials)
    await held.keep_pending(after, pending)
    await held.save(before, after)
    await held.nudge(ConnectJob(org_id=after.org_id, model_id=after.model_id))
    return after


@dataclass(frozen=True, slots=True)
class ConnectModel:
    """Sign a model in with what the vault holds: the job behind `AskConnect`."""

    store: ModelStore
    models: Models
    providers: Mapping[str, Provider]
    consents: Mapping[str, Consents]
    clock: Clock
    chance: Callable[[], float]

    async def __call__(self, job: ConnectJob, message_id: uuid.UUID) -> None:
        """Ends in `connected`, `awaiting_2fa` or `connect_failed`. Raises Transient while the platform has trouble."""
        async with self.store.exclusive(job.org_id, job.model_id) as held:
            # First of all: a second delivery must find its effect, not the platform.
            if not await held.accept_once(message_id):
                return
            contents = await held.load()
            if contents is None or contents.model.state is not State.CONNECTING:
                return  # the user changed his mind meanwhile, or a sweeper's nudge came late
            try:
                await self._settle(held, contents)
            except PlatformTrouble as exc:
                if exc.retry_after_s is not None:
                    raise RetryAfter(exc.retry_after_s, f"sign-in: {exc}") from exc
                raise Transient(f"sign-in: {exc}") from exc
        self.models.forget(job.model_id)

    async def _settle(self, held: HeldModel, contents: Contents) -> None:
        before = contents.model
        try:
            outcome = await self._sign_in(contents)
            if isinstance(outcome, SignedIn):
                await self._check_account(held, before, outcome)
        except CodeRefused as exc:
            # A typing error, perhaps: the same challenge may be answered again.
            await held.keep_pending(before, exc.pending)
            await held.save(before, changed(before, Change.CODE_ASKED, reason=exc.reason))
            return
        except SignInRefused as exc:
            await held.keep_pending(before, None)
            await held.save(before, changed(before, Change.REFUSED, reason=exc.reason))
            return
        if isinstance(outcome, CodeAsked):
            await held.keep_pending(before, Pending(challenge=outcome.challenge))
            await held.save(before, changed(before, Change.CODE_ASKED))
            return
        after = signed_in(
            before, account=outcome.account, ends_at=outcome.ends_at, now=self.clock.now(), chance=self.chance()
        )
        await held.keep_pending(after, None)
        await held.keep_session(after, outcome.session)
        await held.use_links(after)
        await held.save(before, replace(after, reason=""))

    async def _check_account(self, held: HeldModel, model: Model, outcome: SignedIn) -> None:
        """Raises SignInRefused for an account that is not this model's to have."""
        refusal = ""
        if await held.is_account_taken(model, outcome.account):
            refusal = "account_connected_already"
        elif model.account not in (None, outcome.account):
            refusal = "another_account"
        if not refusal:
            return
        if model.provider in self.consents:
            # A grant that nobody keeps is given back, as far as the platform can be reached.
            with contextlib.suppress(PlatformTrouble, SignInRefused):
                await self.providers[model.provider].sign_out(outcome.session)
        raise SignInRefused(refusal)

    async def _sign_in(self, contents: Contents) -> SignedIn | CodeAsked:
        provider = self.providers[contents.model.provider]
        pending = contents.pending or Pending()
        if pending.verifier:
            if (consents := self.consents.get(contents.model.provider)) is None:
                raise SignInRefused("client_refused")  # not set up any more: a code does not wait for that
            return await consents.exchange(pending.code, pending.verifier)
        if pending.challenge and pending.code:
            try:
                return await provider.confirm(pending.challenge, pending.code)
            except ChallengeExpired:
                pass  # sign in again below; the code may still be good
            except SignInRefused as exc:
                if pending.refusals + 1 >= CODES_MAX:
                    raise
                again = Pending(challenge=pending.challenge, refusals=pending.refusals + 1)
                raise CodeRefused(exc.reason, again) from exc
        if contents.credentials is None:
            raise SignInRefused("no_consent" if contents.model.provider in self.consents else "no_credentials")
        outcome = await provider.sign_in(contents.credentials)
        if isinstance(outcome, CodeAsked) and pending.code:
            try:
                return await provider.confirm(outcome.challenge, pending.code)
            except ChallengeExpired:
                return outcome
        return outcome
