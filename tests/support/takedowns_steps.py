"""`python -m tests.support.takedowns_steps`: the service as its own `build` wires it, which stands still at a step of a submission that
a test named, so that something can be killed at exactly that step.

Steps: `received` (nothing is written), `begun` (the batch row stands), `leased` (billing has answered), `stored` (rows are in the open
transaction), `settled` (all but the commit is done), `group` (the first creator's own transaction stands, the second's is to come),
`committed`, `confirmed` (the broker has the debit, and the outbox still holds it).
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path
from typing import Any, Final

from libs.common import worker
from libs.common.db.pool import Record, Tx
from libs.common.db.relay import Relay
from libs.common.process import run
from services.takedowns import app
from services.takedowns.domain.errors import StoreRefused
from services.takedowns.domain.ports import NewBatch
from services.takedowns.entry import timers
from services.takedowns.store.submissions import PostgresSubmissions, PostgresSubmissionTx

VARIABLE: Final = "TESTS_TAKEDOWNS_STEPS"  # the folder in which a test and this process meet
STEPS: Final = ("received", "begun", "leased", "stored", "settled", "group", "committed", "confirmed")
LOOK_S: Final = 0.01
DEBITED: Final = "takedowns.batch.debited.v1"


class Stops:
    """Both sides of the folder: a step is wanted once, reached once, and left when the test says so, or by death."""

    def __init__(self, folder: Path) -> None:
        self._wanted, self._reached, self._go = folder / "wanted", folder / "reached", folder / "go"

    def is_wanted(self, step: str) -> bool:
        try:
            return self._wanted.read_text(encoding="ascii") == step
        except FileNotFoundError:
            return False

    async def at(self, step: str) -> None:
        """The process: stand still here, if that is wanted."""
        if not self.is_wanted(step):
            return
        self._wanted.unlink()
        self._reached.touch()
        while not self._go.exists():
            await asyncio.sleep(LOOK_S)

    def want(self, step: str) -> None:
        """The test: the next submission stands still there."""
        self._go.unlink(missing_ok=True)
        self._reached.unlink(missing_ok=True)
        fresh = self._wanted.with_suffix(".new")
        fresh.write_text(step, encoding="ascii")
        fresh.replace(self._wanted)

    async def until_reached(self) -> None:
        while not self._reached.exists():
            await asyncio.sleep(LOOK_S)

    def let_go(self) -> None:
        self._go.touch()


class _StoppingTx(PostgresSubmissionTx):
    """Stands still in the open transaction."""

    def __init__(self, real: PostgresSubmissionTx, stops: Stops) -> None:
        super().__init__(real._tx, real._outbox)
        self._stops, self.is_last = stops, False

    async def hold_creators(self, ids: Collection[int]) -> set[int]:
        if len(ids) > 1 and self._stops.is_wanted("group"):
            raise StoreRefused(detail="planted: not all at once")
        return await super().hold_creators(ids)

    async def add_urls(self, *arguments: Any) -> Any:
        added = await super().add_urls(*arguments)
        await self._stops.at("stored")
        return added

    async def settle(self, *arguments: Any, **named: Any) -> None:
        await super().settle(*arguments, **named)
        self.is_last = True

    async def tell(self, *arguments: Any) -> None:
        await super().tell(*arguments)
        if arguments[1].__class__.__name__ == "BatchAccepted":  # the last that is written
            await self._stops.at("settled")


def _stopping(stops: Stops) -> type[PostgresSubmissions]:
    class Stopping(PostgresSubmissions):
        async def targets(self, *arguments: Any) -> Any:
            await stops.at("received")
            return await super().targets(*arguments)

        async def begin(self, batch: NewBatch, required: int) -> bool:
            begun = await super().begin(batch, required)
            await stops.at("begun")
            return begun

        @contextlib.asynccontextmanager
        async def transaction(self) -> AsyncIterator[PostgresSubmissionTx]:
            await stops.at("leased")
            async with super().transaction() as real:
                tx = _StoppingTx(real, stops)
                yield tx
            await stops.at("committed" if tx.is_last else "group")

    return Stopping


def _relay(stops: Stops) -> type[Relay]:
    class StoppingRelay(Relay):
        async def _publish(self, tx: Tx, rows: Sequence[Record]) -> int:
            confirmed = await super()._publish(tx, rows)
            if confirmed and any(row["type"] == DEBITED for row in rows):
                await stops.at("confirmed")
            return confirmed

    return StoppingRelay


def main() -> None:
    """Never returns."""
    stops = Stops(Path(os.environ[VARIABLE]))
    changed: dict[Any, dict[str, object]] = {
        app: {"PostgresSubmissions": _stopping(stops)},
        worker: {"Relay": _relay(stops)},
        timers: {"SWEEP_SECONDS": 0.5, "REFUNDS_SECONDS": 0.5},
    }
    for module, names in changed.items():
        for name, value in names.items():
            setattr(module, name, value)
    run("takedowns", app.build)


if __name__ == "__main__":
    main()
