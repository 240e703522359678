"""Redis: short timeouts, no retries, and a connection that knows whose memory it talks to.

redis-py would retry for a minute; here a stalled server costs `timeout_s` and then a breaker answers at once. What has
happened is told apart: `RedisUnreached` (certainly not executed), `RedisAway` (nobody knows), `StoreReadonly`, `StoreRefused`.
Answers are `str`, `int`, lists of these, or None.
"""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Sequence
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

QUEUE_SECONDS: Final = 1.0  # for a burst of our own to drain; a stalled server ends the wait sooner, by the breaker
_RUN_ID: Final = re.compile(r"^run_id:([0-9a-f]{40})\r?$", re.MULTILINE)
_REIGN: Final = re.compile(r"^master_replid:([0-9a-f]{8})", re.MULTILINE)
_NOT_EXECUTED: Final = (  # answers of a server that cannot serve now; the command had no effect
    exceptions.BusyLoadingError,
    exceptions.MasterDownError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
)

_SEEN: Final = "fangate_seen"  # our note in a connection's own dict

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

    def __init__(self, url: str, *, size_max: int, timeout_s: float) -> None:
        """Use `create`."""
        self.on_reset: list[Callable[[], None]] = []
        self._turns = asyncio.Semaphore(size_max)
        self._breaker = Breaker()
        self._epoch: Epoch | None = None  # of the newest connection; None after a reset
        self._generation = 0  # rises with every reset: connections from before it are opened anew
        self._pool = BlockingConnectionPool.from_url(
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
            redis_connect_func=self._greet,
        )

    @classmethod
    def create(cls, url: str, *, size_max: int = 32, timeout_s: float = 0.15) -> "Redis":
        """A client of `redis://[user:password@]host:port/db` (also rediss:// and unix://); connects when it is first used.

        `timeout_s` bounds each of: waiting for a free connection, connecting, one answer. So a stalled server costs at most
        twice that, and usually once.
        """
        return cls(url, size_max=size_max, timeout_s=timeout_s)

    async def run(
        self,
        script: Script,
        keys: Callable[[Epoch], Sequence[str]],
        args: Callable[[Epoch], Sequence[Value]],
    ) -> Any:
        """Run `script` on one connection, with the key names and arguments of the epoch that connection has.

        Raises RedisUnreached or StoreReadonly (it did not run), RedisAway (unknown), StoreRefused.
        """

        async def talk(connection: AbstractConnection, epoch: Epoch) -> Any:
            names = keys(epoch)
            call = ("EVALSHA", script.sha, len(names), *names, *args(epoch))
            try:
                return await _ask(connection, *call)
            except exceptions.NoScriptError:  # first use, SCRIPT FLUSH or another server: nothing ran
                await _ask(connection, "SCRIPT", "LOAD", script.text)
                return await _ask(connection, *call)

        return await self._exchange(talk)

    async def command(self, *parts: Value) -> Any:
        """One plain command (`DEL`, `PING`); raises as `run`."""

        async def talk(connection: AbstractConnection, _epoch: Epoch) -> Any:
            return await _ask(connection, *parts)

        return await self._exchange(talk)

    async def epoch(self) -> Epoch:
        """The epoch of a connection to a server that answers now; raises as `run`."""

        async def talk(connection: AbstractConnection, epoch: Epoch) -> Any:
            await _ask(connection, "PING")  # the connection may be an old one
            return epoch

        epoch = await self._exchange(talk)
        assert isinstance(epoch, Epoch)
        return epoch

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

    async def _exchange(self, talk: Callable[[AbstractConnection, Epoch], Awaitable[Any]]) -> Any:
        """`talk` on a connection: counted by the breaker, errors in our words. Straight-line code, for every call runs it."""
        await self._turn()
        try:
            return await self._talk(talk)
        finally:
            self._turns.release()

    async def _turn(self) -> None:
        """Wait until a connection is free. Not counted by the breaker: a burst of our own says nothing of the server."""
        if not self._turns.locked():
            await self._turns.acquire()  # at once
            return
        try:
            async with asyncio.timeout(QUEUE_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            REDIS_ERRORS.labels("queue").inc()
            raise RedisUnreached(detail="too many requests wait for Redis") from None

    async def _talk(self, talk: Callable[[AbstractConnection, Epoch], Awaitable[Any]]) -> Any:
        # After the wait for a turn: what waited behind a stalled server must not ask it one after the other.
        if not self._breaker.allows(asyncio.get_running_loop().time()):
            REDIS_ERRORS.labels("breaker").inc()
            raise RedisUnreached(detail="the breaker is open")
        asked = False
        try:
            connection: AbstractConnection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
            REDIS_IN_USE.inc()
            try:
                epoch = await self._met(connection)
                asked = True
                answer = await talk(connection, epoch)
            finally:  # after an error or a cancellation redis-py has closed it: nobody reads an answer meant for another
                REDIS_IN_USE.dec()
                await self._pool.release(connection)
        except (exceptions.RedisError, OSError) as exc:  # TimeoutError is an OSError
            raise await self._failed(exc, asked=asked) from exc
        except BaseException:
            self._breaker.abandoned()
            raise
        if self._breaker.succeeded():
            REDIS_BREAKER_OPEN.set(0)
        return answer

    async def _greet(self, connection: AbstractConnection) -> None:
        """What redis-py does on a fresh connection, then: whose memory is this?"""
        generation = self._generation  # before we look: a reset meanwhile makes this connection an old one
        await connection.on_connect()
        info = str(await _ask(connection, "INFO", "server", "replication"))
        run_id, reign = _RUN_ID.search(info), _REIGN.search(info)
        if run_id is None or reign is None:
            raise exceptions.ConnectionError("INFO names no run_id or master_replid")
        vars(connection)[_SEEN] = _Seen(Epoch(run_id=run_id[1], reign=reign[1]), generation)

    async def _met(self, connection: AbstractConnection) -> Epoch:
        """The epoch of `connection`, which is no older than the last reset."""
        seen: _Seen = vars(connection)[_SEEN]
        if seen.generation != self._generation:
            await connection.disconnect()
            await connection.connect()  # type: ignore[no-untyped-call]
            seen = vars(connection)[_SEEN]
        if self._epoch is not None and seen.epoch != self._epoch:  # another server, or the same in another reign
            await self.reset()
            seen.generation = self._generation
        self._epoch = seen.epoch
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


@dataclass(slots=True)
class _Seen:
    """What we know of a connection: the epoch it was greeted with, and after which reset that was."""

    epoch: Epoch
    generation: int


async def _ask(connection: AbstractConnection, *parts: Value) -> Any:
    await connection.send_command(*parts)
    return await connection.read_response()
