"""A worker that takes one submission in and is killed (SIGKILL, by itself) at a named step: `python -m tests.support.takedowns_victim`.

Reads a `Job` from standard input. Steps: `begun` (the batch row stands), `leased`, `stored` (rows are in the open transaction),
`settled` (all but the commit is done), `committed`, `group` (the first creator's own transaction stands).
"""

import asyncio
import contextlib
import dataclasses
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Collection
from typing import Any

import msgspec

from libs.common.contracts.takedowns import SubmitUrls
from services.takedowns.domain.errors import StoreRefused
from services.takedowns.domain.ports import NewBatch, Submissions, SubmissionTx
from services.takedowns.usecases.store_batch import StoreBatch
from tests.support.servers import TestDatabase
from tests.support.takedowns import a_takedowns


class Job(msgspec.Struct):
    """What the victim does, and where it dies."""

    database: str
    admin_dsn: str
    redis_url: str
    step: str
    org_id: uuid.UUID
    batch_id: uuid.UUID
    body: msgspec.Raw


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class _DyingTx:
    """A transaction that dies inside, or refuses to store more than one creator's URLs."""

    def __init__(self, tx: SubmissionTx, step: str) -> None:
        self._tx, self._step = tx, step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)

    async def hold_creators(self, ids: Collection[int]) -> set[int]:
        if self._step == "group" and len(ids) > 1:
            raise StoreRefused
        return await self._tx.hold_creators(ids)

    async def add_urls(self, *arguments: Any) -> Any:
        added = await self._tx.add_urls(*arguments)
        if self._step == "stored":
            die()
        return added

    async def settle(self, *arguments: Any, **named: Any) -> None:
        await self._tx.settle(*arguments, **named)
        if self._step == "settled":
            die()


class _DyingSubmissions:
    """Submissions that kill their process."""

    def __init__(self, real: Submissions, step: str) -> None:
        self._real, self._step, self._commits = real, step, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def begin(self, batch: NewBatch, required: int) -> bool:
        begun = await self._real.begin(batch, required)
        if self._step == "begun":
            die()
        return begun

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        if self._step == "leased":
            die()
        async with self._real.transaction() as tx:
            yield _DyingTx(tx, self._step)
        if self._step in {"committed", "group"}:
            die()


async def main(job: Job) -> None:
    """Never returns if the step is reached."""
    database = TestDatabase(name=job.database, admin_dsn=job.admin_dsn)
    async with a_takedowns(database, job.redis_url, credits_=0) as takedowns:
        dying: Any = _DyingSubmissions(takedowns.on.submissions, job.step)
        submit = dataclasses.replace(takedowns.do.submit_urls, submissions=dying, store=StoreBatch(dying))
        await submit(SubmitUrls(org_id=job.org_id), bytes(job.body), job.batch_id)


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(sys.stdin.buffer.read(), type=Job)))
