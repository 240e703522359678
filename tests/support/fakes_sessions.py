"""Fakes of the ports of sessions: small, in memory, as honest as their docstrings."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from libs.common.contracts.envelope import Message
from libs.common.contracts.sessions import ModelManaged
from libs.common.ids import uuid7
from services.sessions.domain.account import Holder
from services.sessions.domain.credentials import Credentials, Pending, Session
from services.sessions.domain.errors import LabelTaken, OutcomeUnknown
from services.sessions.domain.link import ATTEMPTS_MAX, Link
from services.sessions.domain.model import Change, InvalidChange, Model, State, changed, event_of
from services.sessions.domain.pace import Allowance
from services.sessions.domain.ports import CodeAsked, Contents, Live, SignedIn
from services.sessions.domain.upstream_call import Outcome, Recorded, UpstreamAnswer, UpstreamRequest

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def a_model(state: State = State.CONNECTED, **changes: object) -> Model:
    """A valid model with something changed."""
    is_new = state in (State.CONNECTING, State.AWAITING_2FA, State.CONNECT_FAILED)
    model = Model(
        model_id=uuid7(), org_id=uuid7(), provider="sandbox", label="one", state=state,
        account=None if is_new else "1001", session_number=0 if is_new else 1, was_connected=not is_new,
    )  # fmt: skip
    return replace(model, **changes)  # type: ignore[arg-type]


def a_session(name: str = "first") -> Session:
    return Session(cookie=f"sid={name}")


@dataclass
class FakeStore:
    """`ModelStore` and `Models`: one model, a real lock, rolled back when a holder raises."""

    contents: Contents
    events: list[Message] = field(default_factory=list)
    jobs: list[Message] = field(default_factory=list)
    accepted: set[uuid.UUID] = field(default_factory=set)
    deeds: list[ModelManaged] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    remembered: list[Live] = field(default_factory=list)
    link: Link | None = None
    attempts: int = 0
    is_link_used: bool = False
    marked: Model | None = None
    consent: bytes | None = None
    problem: str = ""

    @property
    def model(self) -> Model:
        return self.contents.model

    async def find(self, org_id: uuid.UUID, model_id: uuid.UUID) -> Live | None:
        model = self.contents.model
        is_it = (model.org_id, model.model_id) == (org_id, model_id)
        return Live(model, self.contents.session) if is_it else None

    async def holders(self, org_id: uuid.UUID, account: str) -> list[Holder]:
        model = self.contents.model
        is_it = (model.org_id, model.account) == (org_id, account)
        return [Holder(model.model_id, model.provider, model.state)] if is_it else []

    def remember(self, live: Live) -> None:
        self.remembered.append(live)

    def forget(self, model_id: uuid.UUID) -> None:
        assert model_id == self.model.model_id

    @contextlib.asynccontextmanager
    async def exclusive(self, org_id: uuid.UUID, model_id: uuid.UUID) -> AsyncIterator["FakeHeld"]:
        async with self.lock:
            self.marked = None
            before = (self.contents, list(self.events), list(self.jobs), set(self.accepted), list(self.deeds))
            try:
                yield FakeHeld(self, org_id, model_id)
            except BaseException:
                self.contents, self.events, self.jobs, self.accepted, self.deeds = before
                self._keep_marked()
                raise

    def _keep_marked(self) -> None:
        """What `mark_refreshing` wrote was committed by itself."""
        if self.marked is not None:
            self.contents = replace(self.contents, model=self.marked)

    async def mark_refreshing(self, model: Model) -> Model:
        after = changed(model, Change.REFRESH_BEGUN)
        self.contents, self.marked = replace(self.contents, model=after), after
        return after

    async def find_labelled(self, org_id: uuid.UUID, provider: str, label: str) -> Model | None:
        model = self.contents.model
        return model if (model.org_id, model.provider, model.label) == (org_id, provider, label) else None

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
        known = self.contents.model
        if (known.org_id, known.provider, known.label) == (model.org_id, model.provider, model.label):
            raise LabelTaken
        self.contents = Contents(model, credentials, None, pending)
        self.link, self.attempts, self.is_link_used = link, 0, False
        self.jobs += [job] if job is not None else []
        self.deeds.append(deed)

    async def rename(self, label: str, deed: ModelManaged) -> bool:
        model = self.contents.model
        is_it = (model.org_id, model.model_id) == (deed.org_id, deed.model_id)
        if is_it:
            self.deeds.append(deed)
            self.contents = replace(self.contents, model=replace(model, label=label))
        return is_it


@dataclass
class FakeHeld:
    """`HeldModel`."""

    store: FakeStore
    org_id: uuid.UUID
    model_id: uuid.UUID

    async def accept_once(self, message_id: uuid.UUID) -> bool:
        is_new = message_id not in self.store.accepted
        self.store.accepted.add(message_id)
        return is_new

    async def load(self) -> Contents | None:
        model = self.store.model
        return self.store.contents if (model.org_id, model.model_id) == (self.org_id, self.model_id) else None

    async def is_account_taken(self, _model: Model, account: str) -> bool:
        return account in self.store.taken

    async def save(self, before: Model, after: Model) -> None:
        if self.store.model.version != before.version:
            raise InvalidChange("outdated")
        self.store.contents = replace(self.store.contents, model=after)
        if (event := event_of(before, after)) is not None:
            self.store.events.append(event)

    async def keep_session(self, _model: Model, session: Session | None) -> None:
        self.store.contents = replace(self.store.contents, session=session)

    async def keep_pending(self, _model: Model, pending: Pending | None) -> None:
        self.store.contents = replace(self.store.contents, pending=pending)

    async def keep_credentials(self, _model: Model, credentials: Credentials | None) -> None:
        self.store.contents = replace(self.store.contents, credentials=credentials)

    async def nudge(self, job: Message) -> None:
        self.store.jobs.append(job)

    async def note(self, deed: ModelManaged) -> None:
        self.store.deeds.append(deed)

    async def replace_links(self, _model: Model, link: Link | None) -> None:
        self.store.link, self.store.attempts, self.store.is_link_used = link, 0, False

    async def use_links(self, _model: Model) -> None:
        self.store.is_link_used = True

    async def take_attempt(self, digest: bytes, now: datetime) -> bool:
        link = self.store.link
        is_open = link is not None and link.digest == digest and link.expires_at > now and not self.store.is_link_used
        if not is_open or self.store.attempts >= ATTEMPTS_MAX:
            return False
        self.store.attempts += 1
        return True

    async def begin_consent(self, digest: bytes, consent: bytes) -> None:
        assert self.store.link is not None
        assert self.store.link.digest == digest
        self.store.consent, self.store.problem = consent, ""

    async def take_consent(self, consent: bytes, problem: str) -> bool:
        if self.store.consent != consent:
            return False
        self.store.consent, self.store.problem = None, problem
        return True


def a_store(model: Model | None = None, **changes: object) -> FakeStore:
    """A store with one connected model and everything in its vault."""
    model = model or a_model()
    has_session = model.state in (State.CONNECTED, State.REFRESHING)
    contents = Contents(
        model=model, credentials=Credentials(email="a@b.c", password="pw"),
        session=a_session() if has_session else None, pending=None,
    )  # fmt: skip
    return FakeStore(replace(contents, **changes))  # type: ignore[arg-type]


@dataclass
class FakeProvider:
    """`Provider`: what it answers is set by the test, an exception is raised; every verb is noted in `did`."""

    on_sign_in: SignedIn | CodeAsked | Exception | None = None
    on_confirm: SignedIn | Exception | None = None
    on_renew: SignedIn | Exception | None = None
    answers: list[UpstreamAnswer | Exception] = field(default_factory=list)
    did: list[str] = field(default_factory=list)
    before_answer: Callable[[], None] = lambda: None

    async def sign_in(self, _credentials: Credentials) -> SignedIn | CodeAsked:
        self.did.append("sign in")
        await asyncio.sleep(0)
        if isinstance(self.on_sign_in, Exception):
            raise self.on_sign_in
        return self.on_sign_in or signed_in_as()

    async def confirm(self, challenge: str, code: str) -> SignedIn:
        self.did.append(f"confirm {challenge} {code}")
        if isinstance(self.on_confirm, Exception):
            raise self.on_confirm
        return self.on_confirm or signed_in_as()

    async def renew(self, _session: Session) -> SignedIn:
        self.did.append("renew")
        if isinstance(self.on_renew, Exception):
            raise self.on_renew
        return self.on_renew or signed_in_as()

    async def sign_out(self, _session: Session) -> None:
        self.did.append("sign out")

    async def call(self, session: Session, request: UpstreamRequest, *, timeout_ms: int) -> UpstreamAnswer:
        self.did.append(f"{request.method} {request.target} with {session.cookie}")
        assert timeout_ms > 0
        self.before_answer()
        answer = self.answers.pop(0) if self.answers else UpstreamAnswer(status=200, body=b"{}")
        if isinstance(answer, Exception):
            raise answer
        return answer


def signed_in_as(account: str = "1001", name: str = "second") -> SignedIn:
    return SignedIn(account=account, session=a_session(name), ends_at=NOW + timedelta(hours=1))


@dataclass
class FakeCalls:
    """`UpstreamCalls`."""

    rows: dict[uuid.UUID, Recorded | None] = field(default_factory=dict)
    is_away_at_finish: Exception | None = None
    is_away: Exception | None = None

    async def start(self, call_id: uuid.UUID, _org_id: uuid.UUID, _model_id: uuid.UUID, _route: str) -> Recorded | None:
        if self.is_away is not None:
            raise self.is_away
        if call_id not in self.rows:
            self.rows[call_id] = None
            return None
        return await self.find(call_id, _org_id)

    async def find(self, call_id: uuid.UUID, _org_id: uuid.UUID) -> Recorded | None:
        if self.is_away is not None:
            raise self.is_away
        if call_id not in self.rows:
            return None
        recorded = self.rows[call_id]
        if recorded is None:
            raise OutcomeUnknown
        return recorded

    async def finish(self, call_id: uuid.UUID, outcome: Outcome, body: bytes) -> None:
        if self.is_away_at_finish is not None:
            raise self.is_away_at_finish
        self.rows[call_id] = Recorded(call_id, outcome, body)


@dataclass
class FakePace:
    """`Pace`: lets all pass, or raises; `patience` notes what callers would have waited."""

    refusal: Exception | None = None
    patience: list[int] = field(default_factory=list)
    held_off: list[int] = field(default_factory=list)
    learnt: list[Allowance] = field(default_factory=list)

    async def wait(self, _model: Model, *, patience_ms: int) -> None:
        self.patience.append(patience_ms)
        if self.refusal is not None:
            raise self.refusal

    def hold_off(self, _model: Model, seconds: int) -> None:
        self.held_off.append(seconds)

    def learn(self, _model: Model, allowance: Allowance) -> None:
        self.learnt.append(allowance)
