"""Models on Postgres: the truth, and the transaction under a model's lock. All SQL is in `queries.sql`."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from libs.common.contracts.envelope import Message
from libs.common.contracts.sessions import ConnectModel, ModelManaged, RefreshModel
from libs.common.db.errors import UniqueViolation
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database, Record, Tx
from libs.common.db.queries import load_queries
from libs.common.db.tx import accept_once
from services.sessions.domain.account import Holder
from services.sessions.domain.credentials import Credentials, Pending, Session
from services.sessions.domain.errors import AccountTaken, LabelTaken
from services.sessions.domain.link import ATTEMPTS_MAX, Link
from services.sessions.domain.model import Change, InvalidChange, Model, State, changed, event_of
from services.sessions.domain.ports import Contents, Live
from services.sessions.store.sealed import SealedRows

QUERIES: Final = load_queries(__package__)
CONSUMER: Final = "sessions.jobs"  # the name under which messages are remembered
HELD_MAX: Final = 8  # models held at one time by this process: each holds a connection while its platform signs in
DUE_ROWS: Final = 50  # per look
CLAIM_SECONDS: Final = 300
STUCK_SECONDS: Final = 600
OVERDUE_SECONDS: Final = 60
LINKS_KEPT_SECONDS: Final = 86_400


class PostgresModels:
    """The ports `ModelStore` and, without the cache before it, the reading half of `Models`."""

    def __init__(self, db: Database, outbox: Outbox, sealed: SealedRows) -> None:
        self._db = db
        self._outbox = outbox
        self._sealed = sealed
        self._holding = asyncio.Semaphore(HELD_MAX)

    async def find(self, org_id: uuid.UUID, model_id: uuid.UUID) -> Live | None:
        row = await self._db.fetchrow(QUERIES.find_model, model_id, org_id)
        return None if row is None else Live(_model(row), self._sealed.open(row, "session", Session))

    async def holders(self, org_id: uuid.UUID, account: str) -> Sequence[Holder]:
        return [
            Holder(row["model_id"], row["provider"], State(row["state"]))
            for row in await self._db.fetch(QUERIES.find_holders, org_id, account)
        ]

    async def changed_lately(self, seconds: float) -> dict[uuid.UUID, int]:
        """Models that changed in the last `seconds`, with their versions."""
        return {row["model_id"]: row["version"] for row in await self._db.fetch(QUERIES.changed_models, seconds)}

    @contextlib.asynccontextmanager
    async def exclusive(self, org_id: uuid.UUID, model_id: uuid.UUID) -> AsyncIterator["PostgresHeld"]:
        async with self._holding, self._db.transaction() as tx:
            await tx.execute(QUERIES.hold_model, str(model_id))
            yield PostgresHeld(tx, self._outbox, self._sealed, org_id, model_id)

    async def mark_refreshing(self, model: Model) -> Model:
        after = changed(model, Change.REFRESH_BEGUN)
        async with self._db.transaction() as tx:
            await _save(tx, model, after)
        return after

    async def find_labelled(self, org_id: uuid.UUID, provider: str, label: str) -> Model | None:
        row = await self._db.fetchrow(QUERIES.find_labelled, org_id, provider, label)
        return None if row is None else _model(row)

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
        async with self._db.transaction() as tx:
            try:
                await tx.execute(
                    QUERIES.create_model, model.model_id, model.org_id, model.provider, model.label, str(model.state)
                )
            except UniqueViolation as exc:
                raise LabelTaken(detail=exc.constraint) from exc
            held = PostgresHeld(tx, self._outbox, self._sealed, model.org_id, model.model_id)
            await held.keep_credentials(model, credentials)
            await held.keep_pending(model, pending)
            if link is not None:
                await held.replace_links(model, link)
            if job is not None:
                await held.nudge(job)
            await held.note(deed)

    async def rename(self, label: str, deed: ModelManaged) -> bool:
        async with self._db.transaction() as tx:
            try:
                renamed = await tx.fetchval(QUERIES.rename_model, deed.model_id, deed.org_id, label)
            except UniqueViolation as exc:
                raise LabelTaken(detail=exc.constraint) from exc
            if renamed is not None:
                await self._outbox.add(tx, deed, org_id=deed.org_id)
        return renamed is not None

    async def models_of(self, org_id: uuid.UUID) -> list[Model]:
        """All models of an organization, oldest first."""
        return [_model(row) for row in await self._db.fetch(QUERIES.list_models, org_id)]

    async def organization_of(self, model_id: uuid.UUID) -> uuid.UUID | None:
        """Whose model this is. Only for the operator: no caller of an organization gets here."""
        org_id: uuid.UUID | None = await self._db.fetchval(QUERIES.organization_of_model, model_id)
        return org_id

    async def count_states(self) -> dict[str, int]:
        """How many models are in each state that any is in."""
        return {row["state"]: row["models"] for row in await self._db.fetch(QUERIES.count_states)}

    async def rewrap(self) -> int:
        """Bring the vault under the active key; answers how many rows changed."""
        return await self._sealed.rewrap(self._db)


class PostgresHeld:
    """The port `HeldModel`: an open transaction that holds the model's lock."""

    def __init__(self, tx: Tx, outbox: Outbox, sealed: SealedRows, org_id: uuid.UUID, model_id: uuid.UUID) -> None:
        self._tx = tx
        self._outbox = outbox
        self._sealed = sealed
        self._org_id = org_id
        self._model_id = model_id
        self._cause: uuid.UUID | None = None

    async def accept_once(self, message_id: uuid.UUID) -> bool:
        self._cause = message_id
        return await accept_once(self._tx, CONSUMER, message_id)

    async def load(self) -> Contents | None:
        row = await self._tx.fetchrow(QUERIES.load_model, self._model_id, self._org_id)
        if row is None:
            return None
        return Contents(
            model=_model(row),
            credentials=self._sealed.open(row, "credentials", Credentials),
            session=self._sealed.open(row, "session", Session),
            pending=self._sealed.open(row, "pending", Pending),
        )

    async def is_account_taken(self, model: Model, account: str) -> bool:
        found = await self._tx.fetchval(QUERIES.find_account, model.org_id, model.provider, account, model.model_id)
        return found is not None

    async def save(self, before: Model, after: Model) -> None:
        await _save(self._tx, before, after)
        event = event_of(before, after)
        if event is not None:
            await self._outbox.add(self._tx, event, org_id=after.org_id, cause=self._cause)

    async def keep_session(self, model: Model, session: Session | None) -> None:
        sealed = self._sealed.seal(model.org_id, model.model_id, "session", session)
        await self._tx.execute(QUERIES.keep_session, model.model_id, model.org_id, sealed)

    async def keep_pending(self, model: Model, pending: Pending | None) -> None:
        sealed = self._sealed.seal(model.org_id, model.model_id, "pending", pending)
        await self._tx.execute(QUERIES.keep_pending, model.model_id, model.org_id, sealed)

    async def keep_credentials(self, model: Model, credentials: Credentials | None) -> None:
        sealed = self._sealed.seal(model.org_id, model.model_id, "credentials", credentials)
        await self._tx.execute(QUERIES.keep_credentials, model.model_id, model.org_id, sealed)

    async def nudge(self, job: Message) -> None:
        await self._outbox.add(self._tx, job, org_id=self._org_id, cause=self._cause)

    async def note(self, deed: ModelManaged) -> None:
        await self._outbox.add(self._tx, deed, org_id=self._org_id, cause=self._cause)

    async def replace_links(self, model: Model, link: Link | None) -> None:
        await self._tx.execute(QUERIES.drop_links, model.model_id, model.org_id)
        if link is not None:
            await self._tx.execute(QUERIES.add_link, link.digest, link.org_id, link.model_id, link.expires_at)

    async def use_links(self, model: Model) -> None:
        await self._tx.execute(QUERIES.use_links, model.model_id, model.org_id)

    async def take_attempt(self, digest: bytes, now: datetime) -> bool:
        return await self._tx.fetchval(QUERIES.take_attempt, digest, now, ATTEMPTS_MAX) is not None

    async def begin_consent(self, digest: bytes, consent: bytes) -> None:
        await self._tx.execute(QUERIES.begin_consent, digest, consent)

    async def take_consent(self, consent: bytes, problem: str) -> bool:
        return await self._tx.fetchval(QUERIES.take_consent, consent, problem) is not None


class PostgresSweepings:
    """What timers do to many models at once."""

    def __init__(self, db: Database, outbox: Outbox) -> None:
        self._db = db
        self._outbox = outbox

    async def enqueue_due_refreshes(self) -> int:
        """Claim sessions that are due and enqueue their refresh, in one transaction."""
        async with self._db.transaction() as tx:
            rows = await tx.fetch(QUERIES.claim_due, DUE_ROWS, float(CLAIM_SECONDS))
            return await self._enqueue(
                tx,
                [
                    RefreshModel(org_id=row["org_id"], model_id=row["model_id"], session_number=row["session_number"])
                    for row in rows
                ],
            )

    async def count_overdue(self) -> int:
        """Sessions that should have been renewed a minute ago: the refreshers do not keep up."""
        return int(await self._db.fetchval(QUERIES.count_overdue, float(OVERDUE_SECONDS)))

    async def drop_old_links(self) -> None:
        """Forget links a day after their end."""
        await self._db.execute(QUERIES.drop_old_links, float(LINKS_KEPT_SECONDS))

    async def nudge_stuck(self) -> int:
        """Enqueue again what has been on its way for over ten minutes."""
        async with self._db.transaction() as tx:
            rows = await tx.fetch(QUERIES.claim_stuck, DUE_ROWS, float(STUCK_SECONDS))
            return await self._enqueue(tx, [_job_of(row) for row in rows])

    async def _enqueue(self, tx: Tx, jobs: Sequence[ConnectModel | RefreshModel]) -> int:
        for job in jobs:
            await self._outbox.add(tx, job, org_id=job.org_id)
        return len(jobs)


def _job_of(row: Record) -> ConnectModel | RefreshModel:
    """The job that brings a stuck model on."""
    if row["state"] == State.CONNECTING:
        return ConnectModel(org_id=row["org_id"], model_id=row["model_id"])
    return RefreshModel(org_id=row["org_id"], model_id=row["model_id"])


async def _save(tx: Tx, before: Model, after: Model) -> None:
    assert after == replace(after, version=before.version + 1), "a change is one version"
    try:
        version = await tx.fetchval(
            QUERIES.save_model,
            after.model_id,
            after.org_id,
            before.version,
            str(after.state),
            after.reason,
            after.account,
            after.session_number,
            after.session_ends_at,
            after.refresh_due_at,
            after.refresh_failures,
            after.was_connected,
        )
    except UniqueViolation as exc:
        raise AccountTaken(detail=exc.constraint) from exc
    if version is None:
        raise InvalidChange(f"the model is not at version {before.version} any more")


def _model(row: Record) -> Model:
    return Model(
        model_id=row["model_id"],
        org_id=row["org_id"],
        provider=row["provider"],
        label=row["label"],
        state=State(row["state"]),
        version=row["version"],
        account=row["account"],
        reason=row["reason"],
        session_number=row["session_number"],
        session_ends_at=row["session_ends_at"],
        refresh_due_at=row["refresh_due_at"],
        refresh_failures=row["refresh_failures"],
        was_connected=row["was_connected"],
    )
