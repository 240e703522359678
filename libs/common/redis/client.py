"""Redis: short timeouts, no retries, and a connection that knows whose memory it talks to.

redis-py would retry for a minute; here a stalled server costs `timeout_s` and then a breaker answers at once. What has
happened is told apart: `RedisUnreached` (certainly not executed), `RedisAway` (nobody knows), `StoreReadonly`, `StoreRefused`.
Answers are `str`, `int`, lists of these, or None.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis import exceptions
from redis.asyncio.connection import AbstractConnection, BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from libs.common.errors import Unavailable
from libs.common.redis.breaker import Breaker
from libs.common.redis.scripts import Script
from libs.common.telemetry.metrics import Counter, Gauge

REDIS_ERRORS = Counter("fangate_redis_errors_total", "Requests to Redis that failed", ["kind"])
REDIS_IN_USE = Gauge("fangate_redis_pool_in_use", "Connections to Redis that are busy")
REDIS_BREAKER_OPEN = Gauge("fangate_redis_breaker_open", "1 while requests are refused without asking Redis")

QUEUE_SECONDS: Final = (
    1.0  # for a burst of our own to drain: waiting for a free connection is no sign that Redis is away
)

_RUN_ID: Final = re.compile(r"^run_id:([0-9a-f]{40})\r?$", re.MULTILINE)
_REIGN: Final = re.compile(r"^master_replid:([0-9a-f]{8})", re.MULTILINE)
_NOT_EXECUTED: Final = (  # answers of a server that cannot serve now; the command had no effect
    exceptions.BusyLoadingError,
    exceptions.MasterDownError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
)

Value = str | int


class RedisAway(Unavailable):
    """Redis did not answer in time: whether the command had its effect is unknown."""


class RedisUnreached(RedisAway):
    """Redis could not be asked: the command certainly had no effect."""


class StoreReadonly(RedisUnreached):
    """The server is a replica now: it refused to write, and what it holds may be old."""


class StoreRefused(Exception):
    """Redis refused the command: a defect of ours, a missing right, or its memory is full. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """Whose memory it is: the server's process and its reign as a master. What was set aside in one is void in any other."""

    run_id: str
    reign: str  # first 8 hex digits of master_replid: another after every promotion

    @property
    def name(self) -> str:
        return self.run_id + self.reign

    def __str__(self) -> str:
        return self.name


class Redis:
    """A client of one server. Functions in `on_reset` are called (without await) when a connection was lost or another epoch
    was met: whatever this process remembers of Redis may be wrong then.
    """

    def __init__(self, pool: BlockingConnectionPool, *, timeout_s: float) -> None:
        """Use `create`."""
        self.on_reset: list[Callable[[], None]] = []
        self._pool = pool
        self._timeout_s = timeout_s
        self._slots = asyncio.Semaphore(pool.max_connections)
        self._breaker = Breaker()
        self._epoch: Epoch | None = None  # of the newest connection; None after a reset
        self._generation = 0  # rises with every reset: connections from before it are opened anew

    @classmethod
    def create(cls, url: str, *, size_max: int = 32, timeout_s: float = 0.15) -> "Redis":
        """A client of `redis://[user:password@]host:port/db` (also rediss:// and unix://); connects when it is first used.

        `timeout_s` bounds each of: connecting, one answer. Both together take at most twice that. More than `size_max`
        requests at once wait for their turn, `QUEUE_SECONDS` at most; a stalled server lets them fail by the breaker.
        """
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=size_max,
            timeout=timeout_s,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            socket_keepalive=True,
            health_check_interval=0,
            retry=Retry(NoBackoff(), 0),
            protocol=3,
            decode_responses=True,
            driver_info=None,
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
            redis_connect_func=_greet,
        )
        return cls(pool, timeout_s=timeout_s)

    async def run(
        self,
        script: Script,
        keys: Callable[[Epoch], Sequence[str]],
        args: Callable[[Epoch], Sequence[Value]],
    ) -> Any:
        """Run `script` on one connection, with the key names and arguments of the epoch that connection has.

        Raises RedisUnreached or StoreReadonly (it did not run), RedisAway (unknown), StoreRefused.
        """
        async with self._exchange() as exchange:
            names = keys(exchange.epoch)
            call = ("EVALSHA", script.sha, len(names), *names, *args(exchange.epoch))
            try:
                return await exchange.ask(*call)
            except exceptions.NoScriptError:  # first use, SCRIPT FLUSH or another server: nothing ran
                await exchange.ask("SCRIPT", "LOAD", script.text)
                return await exchange.ask(*call)

    async def command(self, *parts: Value) -> Any:
        """One plain command (`DEL`, `PING`); raises as `run`."""
        async with self._exchange() as exchange:
            return await exchange.ask(*parts)

    async def epoch(self) -> Epoch:
        """The epoch of a connection that answers now."""
        async with self._exchange() as exchange:
            return exchange.epoch

    async def ping(self) -> None:
        """Return if the server answers; raises as `run`."""
        await self.command("PING")

    async def reset(self) -> None:
        """Forget the epoch and all connections, and tell `on_reset`: also for a script that answered REIGN."""
        self._epoch = None
        self._generation += 1
        for call in self.on_reset:
            call()
        with contextlib.suppress(exceptions.RedisError, OSError):  # they are on their way out anyway
            await self._pool.disconnect(inuse_connections=False)

    async def close(self) -> None:
        """Close all connections; requests under way fail."""
        with contextlib.suppress(exceptions.RedisError, OSError):
            await self._pool.disconnect(inuse_connections=True)

    @contextlib.asynccontextmanager
    async def _exchange(self) -> AsyncIterator["_Exchange"]:
        """A connection for one request: bounded in time, counted by the breaker, errors in our words."""
        async with self._turn(), self._counted() as exchange:
            yield exchange

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait until one of the connections is free; not counted by the breaker, for it says nothing of the server."""
        if self._slots.locked():
            try:
                async with asyncio.timeout(QUEUE_SECONDS):
                    await self._slots.acquire()
            except TimeoutError:
                REDIS_ERRORS.labels("queue").inc()
                raise RedisUnreached(detail="too many requests wait for Redis") from None
        else:
            await self._slots.acquire()
        try:
            yield
        finally:
            self._slots.release()

    @contextlib.asynccontextmanager
    async def _counted(self) -> AsyncIterator["_Exchange"]:
        # After the wait for a turn: what waited behind a stalled server must not ask it one after the other.
        loop = asyncio.get_running_loop()
        if not self._breaker.allows(loop.time()):
            REDIS_ERRORS.labels("breaker").inc()
            raise RedisUnreached(detail="the breaker is open")
        exchange = _Exchange()
        try:
            async with asyncio.timeout(2 * self._timeout_s), self._connection() as connection:
                exchange.connection, exchange.epoch = connection, await self._met(connection)
                yield exchange
        except (exceptions.RedisError, OSError) as exc:  # TimeoutError is an OSError
            raise await self._failed(exc, asked=exchange.asked) from exc
        except BaseException:
            self._breaker.abandoned()
            raise
        self._breaker.succeeded()
        REDIS_BREAKER_OPEN.set(0)

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[AbstractConnection]:
        connection: AbstractConnection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        REDIS_IN_USE.inc()
        try:
            yield connection
        finally:  # after an error or a cancellation redis-py has closed it: nobody reads an answer meant for another
            REDIS_IN_USE.dec()
            await self._pool.release(connection)

    async def _met(self, connection: AbstractConnection) -> Epoch:
        """The epoch of `connection`, which is no older than the last reset."""
        if _seen(connection).generation not in {None, self._generation}:
            await connection.disconnect()
            await connection.connect()  # type: ignore[no-untyped-call]
        seen = _seen(connection)
        if self._epoch is not None and seen.epoch != self._epoch:  # another server, or the same in another reign
            await self.reset()
        self._epoch, seen.generation = seen.epoch, self._generation
        return seen.epoch

    async def _failed(self, exc: Exception, *, asked: bool) -> Exception:
        """Count the failure and say what it means. Refusals by a server that is well do not open the breaker."""
        kind = type(exc).__name__
        REDIS_ERRORS.labels(kind).inc()
        if isinstance(exc, exceptions.ReadOnlyError):
            self._breaker.succeeded()
            await self.reset()
            return StoreReadonly(detail=str(exc))
        if isinstance(exc, _NOT_EXECUTED):
            self._breaker.failed(asyncio.get_running_loop().time())
            return RedisUnreached(detail=str(exc))
        if isinstance(exc, exceptions.ResponseError):
            self._breaker.succeeded()
            return StoreRefused(str(exc))
        self._breaker.failed(asyncio.get_running_loop().time())
        REDIS_BREAKER_OPEN.set(self._breaker.is_open)
        waited = isinstance(exc, TimeoutError | exceptions.TimeoutError) or isinstance(exc.__cause__, TimeoutError)
        if not waited and self._epoch is not None:
            await self.reset()  # a lost connection: the server may come back without its memory
        return (RedisAway if asked else RedisUnreached)(detail=f"{kind}: {exc}")


class _Exchange:
    """One request on one connection, and whether anything was sent on it."""

    connection: AbstractConnection
    epoch: Epoch
    asked = False

    async def ask(self, *parts: Value) -> Any:
        self.asked = True
        await self.connection.send_command(*parts)
        return await self.connection.read_response()


@dataclass(slots=True)
class _Seen:
    """What we know of a connection: the epoch it was greeted with, the generation it was first used in."""

    epoch: Epoch
    generation: int | None = None


async def _greet(connection: AbstractConnection) -> None:
    """What redis-py does on a fresh connection, then: whose memory is this?"""
    await connection.on_connect()
    await connection.send_command("INFO", "server", "replication")
    info = str(await connection.read_response())
    run_id, reign = _RUN_ID.search(info), _REIGN.search(info)
    if run_id is None or reign is None:
        raise exceptions.ConnectionError("INFO names no run_id or master_replid")
    vars(connection)["fangate_seen"] = _Seen(Epoch(run_id=run_id[1], reign=reign[1]))


def _seen(connection: AbstractConnection) -> _Seen:
    seen = vars(connection)["fangate_seen"]
    assert isinstance(seen, _Seen)
    return seen
