"""Connections to Postgres: asyncpg behind a typed wrapper of six verbs and a transaction.

What is not here: named statements (`queries.py`), the inbox (`tx.py`). Session state (SET without LOCAL, session advisory locks,
LISTEN) is not supported: connections go back to the pool without a reset, which saves a round trip per transaction.
`jsonb` and `json` values are Python objects in both directions, `timestamptz` is an aware datetime, `uuid` a UUID.
"""

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Protocol, cast

import asyncpg
import orjson

from libs.common.db.errors import CommitUnknown, DatabaseAway, NotPrimary, translated
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import Gauge

CONNECT_WAIT_SECONDS: Final = 30.0  # how long a starting process waits for its database before it gives up
CONNECT_RETRY_SECONDS: Final = 0.5
ACQUIRE_SECONDS: Final = 5.0  # longer than this without a free connection is an outage, not a queue
STATEMENT_SECONDS: Final = 30.0  # no statement of ours takes longer; beyond, its outcome is unknown
IDLE_SECONDS: Final = 300.0  # an unused connection beyond the first is closed after this
IDLE_IN_TRANSACTION_SECONDS: Final = 30
# A session whose client vanished without a word (a lost machine, a forgetful router) must not keep its locks, nor its place.
_VANISHED_CLIENTS: Final = {
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}

_log = logger(__name__)


class Record(Protocol):
    """One row: columns by name or position."""

    def __getitem__(self, key: str | int) -> Any: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def keys(self) -> Iterable[str]: ...
    def values(self) -> Iterable[Any]: ...
    def items(self) -> Iterable[tuple[str, Any]]: ...
    def get(self, key: str, default: Any = None) -> Any: ...


class Tx:
    """A transaction that is open; only valid inside its `async with`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._after: list[Callable[[], None]] = []

    async def fetch(self, sql: str, *args: Any) -> list[Record]:
        """All rows."""
        with translated():
            return cast("list[Record]", await self._connection.fetch(sql, *args))

    async def fetchrow(self, sql: str, *args: Any) -> Record | None:
        """The first row, or None."""
        with translated():
            return cast("Record | None", await self._connection.fetchrow(sql, *args))

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """The first column of the first row, or None."""
        with translated():
            return await self._connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> str:
        """Run a statement; answers its command tag (`UPDATE 3`). Without arguments it may be a script."""
        with translated():
            return cast("str", await self._connection.execute(sql, *args))

    async def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once per row, pipelined. For many rows `INSERT … SELECT unnest(…)` is quicker still."""
        with translated():
            await self._connection.executemany(sql, rows)

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call `call` once the commit is certain; never if the transaction was undone or its outcome is unknown."""
        self._after.append(call)

    def _committed(self) -> None:
        for call in self._after:
            call()


class Database:
    """A pool of connections of one role to one schema.

    Every verb raises DatabaseAway when the server is lost, not there yet or out of connections; a single writing statement
    may then have had its effect. Other errors: `errors.py`.
    """

    def __init__(self, pool: Any, *, schema: str) -> None:
        """Use `connect`."""
        self.schema = schema
        self._pool = pool
        self._waiting = 0
        _OPEN.add(self)

    @classmethod
    async def connect(
        cls,
        dsn: str,
        *,
        schema: str,
        name: str,
        size_min: int = 1,
        size_max: int = 10,
        idle_in_transaction_s: int = IDLE_IN_TRANSACTION_SECONDS,
    ) -> "Database":
        """Connect as the role of `dsn`; unqualified names mean `schema`; `name` is what pg_stat_activity shows. A transaction that
        is silent for `idle_in_transaction_s` is undone by the server, and its connection ends.

        Waits up to 30 s for a server that is starting, or a role that is still being made. Raises DatabaseAway after that.
        With `size_min` 0 it does not wait: the server is met by the first statement.
        """
        loop = asyncio.get_running_loop()
        give_up = loop.time() + CONNECT_WAIT_SECONDS
        while True:
            try:
                with translated():
                    pool = await asyncpg.create_pool(
                        dsn,
                        min_size=size_min,
                        max_size=size_max,
                        max_inactive_connection_lifetime=IDLE_SECONDS,
                        command_timeout=STATEMENT_SECONDS,
                        timeout=ACQUIRE_SECONDS,
                        init=_prepare,
                        reset=_keep,
                        server_settings={
                            "application_name": name,
                            "search_path": schema,
                            "timezone": "UTC",
                            "jit": "off",
                            "idle_in_transaction_session_timeout": f"{idle_in_transaction_s}s",
                            **_VANISHED_CLIENTS,
                        },
                    )
                return cls(pool, schema=schema)
            except Exception as exc:
                if loop.time() >= give_up:
                    raise DatabaseAway(detail=f"no connection after {CONNECT_WAIT_SECONDS:.0f} s: {exc}") from exc
                _log.warning("waiting for the database", schema=schema, error=str(exc))
                await asyncio.sleep(CONNECT_RETRY_SECONDS)

    async def close(self) -> None:
        """Close all connections; running statements get 5 s to finish."""
        _OPEN.discard(self)
        try:
            async with asyncio.timeout(ACQUIRE_SECONDS):
                await self._pool.close()
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._pool.terminate()

    async def ping(self) -> None:
        """Return if the server answers; raises DatabaseAway."""
        await self.fetchval("SELECT 1")

    async def fetch(self, sql: str, *args: Any) -> list[Record]:
        """All rows of a single statement, in a transaction of its own."""
        async with self._connection() as connection:
            return cast("list[Record]", await connection.fetch(sql, *args))

    async def fetchrow(self, sql: str, *args: Any) -> Record | None:
        """The first row, or None."""
        async with self._connection() as connection:
            return cast("Record | None", await connection.fetchrow(sql, *args))

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """The first column of the first row, or None."""
        async with self._connection() as connection:
            return await connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> str:
        """Run a single statement; answers its command tag (`UPDATE 3`)."""
        async with self._connection() as connection:
            return cast("str", await connection.execute(sql, *args))

    @contextlib.asynccontextmanager
    async def transaction(self, *, isolation: str = "read_committed") -> AsyncIterator[Tx]:
        """A transaction: committed when the block ends, undone when it raises. Not nestable.

        `isolation`: read_committed, repeatable_read or serializable. Leaving the block raises CommitUnknown when the
        connection is lost during COMMIT, and the violation when a deferred constraint refuses.
        """
        async with self._connection() as connection:
            transaction = connection.transaction(isolation=isolation)
            # Not `start`: cut off during BEGIN, the connection would be reported as an error of ours when it is given back.
            await transaction.__aenter__()
            tx = Tx(connection)
            try:
                yield tx
            except BaseException as exc:
                await _undo(transaction, exc)
                raise
            if connection.is_closed():  # lost while the block was busy elsewhere: certainly undone
                raise DatabaseAway(detail="the connection was lost before the commit")
            try:
                with translated():
                    await transaction.__aexit__(None, None, None)
            except DatabaseAway as exc:
                raise CommitUnknown(detail=exc.detail) from exc
        tx._committed()  # noqa: SLF001 - the pair of after_commit; outside the block, so that the connection is free again

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        try:
            with translated():
                connection = await self._acquire()
                try:
                    yield connection
                finally:
                    with contextlib.suppress(
                        OSError, asyncpg.PostgresError, asyncpg.InterfaceError
                    ):  # lost: replaced later
                        await self._pool.release(connection, timeout=ACQUIRE_SECONDS)
        except NotPrimary:
            await self._pool.expire_connections()
            raise

    async def _acquire(self) -> Any:
        self._waiting += 1
        try:
            return await self._pool.acquire(timeout=ACQUIRE_SECONDS)
        finally:
            self._waiting -= 1

    def counts(self) -> tuple[int, int, int]:
        """Connections open, connections idle, callers waiting for one."""
        return self._pool.get_size(), self._pool.get_idle_size(), self._waiting


async def _undo(transaction: Any, reason: BaseException) -> None:
    """Roll back, best effort: a lost connection has rolled back by itself, and the reason for the rollback matters more."""
    with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        await transaction.__aexit__(type(reason), reason, reason.__traceback__)


async def _prepare(connection: Any) -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, encoder=_dump, decoder=orjson.loads, schema="pg_catalog")


def _dump(value: Any) -> str:
    if isinstance(value, str):
        raise TypeError("a jsonb column takes the object, not its text")
    return orjson.dumps(value).decode()


async def _keep(_connection: Any) -> None:
    """Instead of asyncpg's reset between two users of a connection: ours leave nothing behind (see the module's docstring)."""


_OPEN: "weakref.WeakSet[Database]" = weakref.WeakSet()  # what the three gauges sum up


def _sum(position: int) -> Callable[[], float]:
    return lambda: float(sum(database.counts()[position] for database in list(_OPEN)))


PG_POOL_SIZE = Gauge("fangate_pg_pool_size", "Connections to Postgres")
PG_POOL_IDLE = Gauge("fangate_pg_pool_idle", "Connections to Postgres that nobody uses")
PG_POOL_WAITING = Gauge("fangate_pg_pool_waiting", "Callers waiting for a connection to Postgres")
for _position, _gauge in enumerate((PG_POOL_SIZE, PG_POOL_IDLE, PG_POOL_WAITING)):
    _gauge.set_function(_sum(_position))
