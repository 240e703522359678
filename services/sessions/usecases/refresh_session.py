"""Give a model a living session again: before it ends, when the platform refused it, or when the user asks."""

import asyncio
import contextlib
import enum
import uuid
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from libs.common.clock import Clock
from libs.common.errors import Unavailable
from services.sessions.domain.credentials import Pending, Session
from services.sessions.domain.errors import (
    GRANT_REFUSED,
    ModelNotConnected,
    ModelNotFound,
    PlatformTrouble,
    SignInRefused,
    SyncLost,
)
from services.sessions.domain.model import Change, Model, State, changed, put_off, signed_in
from services.sessions.domain.ports import (
    CodeAsked,
    Contents,
    HeldModel,
    Live,
    Models,
    ModelStore,
    Provider,
    SignedIn,
)
from services.sessions.usecases.single_flight import SingleFlight

SIGN_INS_MAX: Final = 10  # per model in SIGN_INS_MS: a platform that refuses every fresh session must not be hammered
SIGN_INS_MS: Final = 60_000
PACED_MODELS_MAX: Final = 10_000
RESCUE_SECONDS: Final = (
    0.0,
    0.2,
    0.5,
    1.0,
    2.0,
    4.0,
    8.0,
    15.0,
    15.0,
    15.0,
)  # waits of about a minute, a failover's time
RENEWAL_INTERRUPTED: Final = "renewal_interrupted"
_NOTHING_LEFT: Final = "no_credentials"


class Why(enum.StrEnum):
    """What makes a refresh necessary."""

    DUE = "due"  # the session will end soon, but lives
    REJECTED = "rejected"  # the platform refused it
    WAIT = "wait"  # somebody is at it: only wait, unless that somebody is gone
    ASKED = "asked"  # the user wants it; also brings a model back from sync_lost


class RefreshSession:
    """Renew or sign in again, once per model at a time, however many callers and processes meet the dead session.

    Only a refusal of the platform ends in `sync_lost`; its own trouble leaves the model connected and is tried later.
    """

    def __init__(
        self,
        *,
        store: ModelStore,
        models: Models,
        providers: Mapping[str, Provider],
        clock: Clock,
        chance: Callable[[], float],
        count: Callable[[str], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`chance` answers 0 to 1; `count` notes an outcome (renewed, joined, refused, trouble, paced)."""
        self._store = store
        self._models = models
        self._providers = providers
        self._clock = clock
        self._chance = chance
        self._count = count
        self._sleep = sleep
        self._flights: SingleFlight[Live] = SingleFlight()
        self._sign_ins: OrderedDict[uuid.UUID, deque[int]] = OrderedDict()

    async def __call__(self, org_id: uuid.UUID, model_id: uuid.UUID, *, stale: int, why: Why) -> Live:
        """The model with a session newer than number `stale`.

        Raises SyncLost (refused, or not possible now), ModelNotConnected, ModelNotFound. May take as long as the platform
        takes to sign in: callers bound it by their deadline, and the work goes on without them.
        """
        return await self._flights.run(model_id, lambda: self._refresh(org_id, model_id, stale, why))

    async def _refresh(self, org_id: uuid.UUID, model_id: uuid.UUID, stale: int, why: Why) -> Live:
        self._models.forget(model_id)
        fresh: list[tuple[Model, Live]] = []  # what the platform gave, from the moment on that it did
        is_settled = False
        try:
            async with self._store.exclusive(org_id, model_id) as held:
                contents = await held.load()
                if contents is None:
                    raise ModelNotFound
                _check_state(contents.model, why)
                is_settled = _is_settled(contents.model, stale, why)
                if is_settled:
                    self._count("joined")
                    live = Live(contents.model, contents.session)
                else:
                    self._pace(model_id)
                    live = await self._renewed(held, contents, why, fresh)
        except Unavailable:
            if not fresh:
                raise
            live = await self._rescued(*fresh[0])
        # Errors come after the commit: raised inside they would undo what was just written down.
        self._models.remember(live)
        if live.model.state is not State.CONNECTED or live.session is None:
            raise SyncLost(detail=live.model.reason)
        if live.model.refresh_failures and not is_settled:
            raise SyncLost("The session could not be refreshed now: try again", detail=live.model.reason)
        return live

    async def _rescued(self, before: Model, live: Live) -> Live:
        """Write down a session that the database went away under: its refresh token may be the only one that still works.

        Answers the model as it stands then. Raises Unavailable when the database stays away.
        """
        for wait_s in RESCUE_SECONDS:
            await self._sleep(wait_s)
            with contextlib.suppress(Unavailable):
                async with self._store.exclusive(before.org_id, before.model_id) as held:
                    contents = await held.load()
                    if contents is None:
                        raise ModelNotFound
                    if (
                        contents.model.version != before.version
                    ):  # the commit stood after all, or somebody else was here
                        return Live(contents.model, contents.session)
                    await held.keep_session(live.model, live.session)
                    await held.save(before, live.model)
                return live
        raise Unavailable(detail="a renewed session could not be written down")

    async def _renewed(self, held: HeldModel, contents: Contents, why: Why, fresh: list[tuple[Model, Live]]) -> Live:
        """Try, write down what came of it, and answer that; a new session is noted in `fresh` first of all."""
        before = contents.model
        if before.state is not State.SYNC_LOST:
            before = await self._store.mark_refreshing(before)
        pending: Pending | None = None
        try:
            outcome = await self._sign_in(contents, why)
            if isinstance(outcome, CodeAsked):
                if before.state is not State.SYNC_LOST:
                    raise SignInRefused("two_factor_required")
                after, pending = changed(before, Change.CODE_ASKED), Pending(challenge=outcome.challenge)
                self._count("refused")
            elif before.account is not None and outcome.account != before.account:
                raise SignInRefused("another_account")
            else:
                after = signed_in(
                    before,
                    account=outcome.account,
                    ends_at=outcome.ends_at,
                    now=self._clock.now(),
                    chance=self._chance(),
                )
                self._count("renewed")
                fresh.append((before, Live(after, outcome.session)))
                await held.keep_session(after, outcome.session)
                await held.save(before, after)
                return Live(after, outcome.session)
        except SignInRefused as exc:
            after = changed(before, Change.REFUSED, reason=_reason(contents.model, exc))
            self._count("refused")
        except PlatformTrouble as exc:
            self._count("trouble")
            if before.state is State.SYNC_LOST:
                raise SyncLost("The platform cannot be reached now: try again", detail=str(exc)) from exc
            after = put_off(before, now=self._clock.now(), chance=self._chance())
            await held.save(before, after)
            return Live(after, contents.session)
        await held.keep_session(after, _kept(contents))
        await held.keep_pending(after, pending)
        await held.save(before, after)
        return Live(after, None)

    async def _sign_in(self, contents: Contents, why: Why) -> SignedIn | CodeAsked:
        provider = self._providers[contents.model.provider]
        # Without credentials renewing is all there is, also of a session that the platform refused.
        if contents.session is not None and (why in (Why.DUE, Why.ASKED) or contents.credentials is None):
            try:
                return await provider.renew(contents.session)
            except SignInRefused:
                if contents.credentials is None:
                    raise
                # It was dead already: sign in again.
        if contents.credentials is None:
            raise SignInRefused(_NOTHING_LEFT)
        return await provider.sign_in(contents.credentials)

    def _pace(self, model_id: uuid.UUID) -> None:
        """Count a sign-in; raises SyncLost when there were too many lately."""
        now = self._clock.stopwatch_ms()
        times = self._sign_ins.setdefault(model_id, deque(maxlen=SIGN_INS_MAX))
        self._sign_ins.move_to_end(model_id)
        if len(self._sign_ins) > PACED_MODELS_MAX:
            self._sign_ins.popitem(last=False)
        if len(times) == SIGN_INS_MAX and now - times[0] < SIGN_INS_MS:
            self._count("paced")
            raise SyncLost("The session was refused too often lately: try again in a minute", detail="paced")
        times.append(now)


def _reason(model: Model, refusal: SignInRefused) -> str:
    """Why the model is lost. A grant that is refused after a renewal that never came to its end was, as far as anybody can
    tell, renewed without us: the platform's answer, and the token in it, got lost.
    """
    if model.state is State.SYNC_LOST and (refusal.reason == _NOTHING_LEFT or model.reason == RENEWAL_INTERRUPTED):
        return model.reason or refusal.reason
    if refusal.reason == GRANT_REFUSED and (model.state is State.REFRESHING or model.refresh_failures):
        return RENEWAL_INTERRUPTED
    return refusal.reason


def _kept(contents: Contents) -> Session | None:
    """What of a refused session stays in the vault: where there are no credentials, the grant, for one more try when its user
    asks for it; after that it is not shown to the platform again.
    """
    session = contents.session
    if session is None or contents.credentials is not None or contents.model.state is State.SYNC_LOST:
        return None
    return Session(refresh_token=session.refresh_token, account=session.account) if session.refresh_token else None


def _check_state(model: Model, why: Why) -> None:
    if model.state is State.SYNC_LOST and why is not Why.ASKED:
        raise SyncLost(detail=model.reason)
    if model.state not in (State.CONNECTED, State.REFRESHING, State.SYNC_LOST):
        raise ModelNotConnected(f"Model is {model.state}: connect it first", state=str(model.state))


def _is_settled(model: Model, stale: int, why: Why) -> bool:
    """Whether somebody else has done it while we waited for the model."""
    return model.state is State.CONNECTED and (model.session_number > stale or why is Why.WAIT)
