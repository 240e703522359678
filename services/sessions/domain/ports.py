"""What the use cases need, not how it is done. Promises are in the docstrings: fakes and the real ones keep them alike."""

import uuid
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from libs.common.contracts.envelope import Message
from libs.common.contracts.models import ModelShown
from libs.common.contracts.sessions import ModelManaged
from services.sessions.domain.account import Holder
from services.sessions.domain.credentials import Credentials, Pending, Session
from services.sessions.domain.link import Link, LinkView
from services.sessions.domain.model import Model
from services.sessions.domain.pace import Allowance
from services.sessions.domain.upstream_call import Outcome, Recorded, UpstreamAnswer, UpstreamRequest


@dataclass(frozen=True, slots=True)
class Live:
    """A model and its newest session, if it has one."""

    model: Model
    session: Session | None


@dataclass(frozen=True, slots=True)
class Contents:
    """A model and all that the vault holds of it."""

    model: Model
    credentials: Credentials | None
    session: Session | None
    pending: Pending | None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A fresh session. `ends_at` None = the platform does not say."""

    account: str
    session: Session
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class CodeAsked:
    """The platform wants a two-factor code for `challenge`."""

    challenge: str


class Provider(Protocol):
    """A platform. Every verb is one exchange, never repeated by itself, and raises PlatformTrouble (NotSent, Dropped,
    TimedOut, Unusable among them) when the platform does not do its part. No error shows a secret.
    """

    async def sign_in(self, credentials: Credentials) -> SignedIn | CodeAsked:
        """Raises SignInRefused."""
        ...

    async def confirm(self, challenge: str, code: str) -> SignedIn:
        """Answer a challenge. Raises SignInRefused (wrong code), ChallengeExpired."""
        ...

    async def renew(self, session: Session) -> SignedIn:
        """A fresh session for one that still lives. Raises SignInRefused."""
        ...

    async def sign_out(self, session: Session) -> None:
        """End a session; one that is dead already is fine."""
        ...

    async def call(self, session: Session, request: UpstreamRequest, *, timeout_ms: int) -> UpstreamAnswer:
        """Any answer of the platform that can be passed on, whatever its status. Raises NotSent, Dropped, TimedOut, Unusable."""
        ...


class Consents(Protocol):
    """A platform that asks its user itself (OAuth 2.0 authorization code with PKCE). What comes of it is a session of the
    `Provider` of the same name.
    """

    @property
    def issuer(self) -> str:
        """Who the platform says it is, where it says so (RFC 9207)."""
        ...

    def url(self, challenge: str) -> str:
        """Where the user's browser goes, but for the state."""
        ...

    async def exchange(self, code: str, verifier: str) -> SignedIn:
        """A session for a code, which works once. Raises SignInRefused, PlatformTrouble."""
        ...


class Models(Protocol):
    """The way to a model on the hot path: warm models cost no round trip."""

    async def find(self, org_id: uuid.UUID, model_id: uuid.UUID) -> Live | None:
        """The model, if it is the organization's; changes by other processes are seen within a second or so."""
        ...

    async def holders(self, org_id: uuid.UUID, account: str) -> Sequence[Holder]:
        """The organization's models with this account number, newest first; at most a second or so old."""
        ...

    def remember(self, live: Live) -> None:
        """Take `live` as the newest state, unless a newer one is known."""
        ...

    def forget(self, model_id: uuid.UUID) -> None:
        """The next `find` asks the truth."""
        ...


class HeldModel(Protocol):
    """A model that nobody else changes meanwhile: a transaction under the model's lock."""

    async def accept_once(self, message_id: uuid.UUID) -> bool:
        """False = this message had its effect before."""
        ...

    async def load(self) -> Contents | None:
        """Everything, or None when there is no such model in the organization."""
        ...

    async def is_account_taken(self, model: Model, account: str) -> bool:
        """Whether another model of the organization is this account."""
        ...

    async def save(self, before: Model, after: Model) -> None:
        """Write the model, and the event that tells of the change. Raises InvalidChange when `before` is outdated."""
        ...

    async def keep_session(self, model: Model, session: Session | None) -> None: ...

    async def keep_pending(self, model: Model, pending: Pending | None) -> None: ...

    async def keep_credentials(self, model: Model, credentials: Credentials | None) -> None: ...

    async def nudge(self, job: Message) -> None:
        """Enqueue a job with this change."""
        ...

    async def note(self, deed: ModelManaged) -> None:
        """Tell the audit log of this change."""
        ...

    async def replace_links(self, model: Model, link: Link | None) -> None:
        """`link` is from now on the model's only one; None = it has none."""
        ...

    async def use_links(self, model: Model) -> None:
        """The model was connected: its links are used."""
        ...

    async def take_attempt(self, digest: bytes, now: datetime) -> bool:
        """Count a form of the link. False = the link is used, expired, or was tried `ATTEMPTS_MAX` times."""
        ...

    async def begin_consent(self, digest: bytes, consent: bytes) -> None:
        """The browser that knows what `consent` is the digest of was sent to the platform behind this link; it is the only one."""
        ...

    async def take_consent(self, consent: bytes, problem: str) -> bool:
        """Use it up, and keep for the link's page what went wrong; "" = nothing. False = it is used already, or replaced."""
        ...


class ModelStore(Protocol):
    """The truth about models."""

    def exclusive(self, org_id: uuid.UUID, model_id: uuid.UUID) -> AbstractAsyncContextManager[HeldModel]:
        """Hold the model: across all processes, one at a time. Committed when the block ends, undone when it raises."""
        ...

    async def mark_refreshing(self, model: Model) -> Model:
        """Commit the state `refreshing` at once, for others to see, while the model is held."""
        ...

    async def find_labelled(self, org_id: uuid.UUID, provider: str, label: str) -> Model | None:
        """The organization's model of this name."""
        ...

    async def create(
        self,
        model: Model,
        credentials: Credentials | None,
        pending: Pending | None,
        job: Message | None,
        link: Link | None = None,
        *,
        deed: ModelManaged,
    ) -> None:
        """Write a new model, its sealed credentials, its first job or its link, and tell the audit log, all or nothing.
        Raises LabelTaken.
        """
        ...

    async def rename(self, label: str, deed: ModelManaged) -> bool:
        """Give the deed's model another label, and tell the audit log. False = no such model. Raises LabelTaken."""
        ...


class ModelViews(Protocol):
    """Models as their users see them, from the truth. `provider` empty = any."""

    async def show(self, org_id: uuid.UUID, model_id: uuid.UUID, *, provider: str = "") -> ModelShown | None:
        """The model, if it is the organization's and of the provider."""
        ...

    async def page(
        self,
        org_id: uuid.UUID,
        *,
        limit: int,
        after: uuid.UUID | None,
        provider: str = "",
        only: uuid.UUID | None = None,
    ) -> list[ModelShown]:
        """At most `limit` models, newest first, from below the id `after`; of all of them, or of the one that is `only`."""
        ...

    async def find_link(self, digest: bytes, now: datetime) -> LinkView | None:
        """The link with this digest, unless it expired before `now` or its model is gone."""
        ...

    async def find_consent(self, consent: bytes, now: datetime) -> LinkView | None:
        """The link behind which `consent` was begun and not yet used up, on the same terms."""
        ...


class Pace(Protocol):
    """How fast a model's platform account may be called."""

    async def wait(self, model: Model, *, patience_ms: int) -> None:
        """Return when it is the caller's turn. Raises Paced at once when that would take longer than `patience_ms`."""
        ...

    def hold_off(self, model: Model, seconds: int) -> None:
        """The platform asked for a pause."""
        ...

    def learn(self, model: Model, allowance: Allowance) -> None:
        """The platform told its limit: call no faster than that."""
        ...


class UpstreamCalls(Protocol):
    """The fence: which writes were started, and how they ended."""

    async def start(self, call_id: uuid.UUID, org_id: uuid.UUID, model_id: uuid.UUID, route: str) -> Recorded | None:
        """None = go ahead, and the fact that the call was started is committed. Recorded = it was made before.
        Raises OutcomeUnknown when it was started before and nobody knows how it ended.
        """
        ...

    async def find(self, call_id: uuid.UUID, org_id: uuid.UUID) -> Recorded | None:
        """How a call that was made before ended; None = it never was. Raises OutcomeUnknown when nobody knows."""
        ...

    async def finish(self, call_id: uuid.UUID, outcome: Outcome, body: bytes) -> None:
        """Record how it ended."""
        ...
