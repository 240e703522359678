"""Redis: short timeouts, no retries, and a connection that knows whose memory it talks to.

All requests of a process share one connection (`link.py`). A stalled server costs `timeout_s` and then a breaker answers at
once. What has happened is told apart: `RedisUnreached` (certainly not executed), `RedisAway` (nobody knows), `StoreReadonly`,
`StoreRefused`. Answers are `str`, `int`, lists of these, or None.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import hiredis

from libs.common.errors import Unavailable
from libs.common.redis.breaker import Breaker
from libs.common.redis.link import Address, Epoch, Link, LinkLost, Value, open_link
from libs.common.redis.scripts import Script
from libs.common.telemetry.metrics import Counter, Gauge

REDIS_ERRORS = Counter("fangate_redis_errors_total", "Requests to Redis that failed", ["kind"])
REDIS_IN_USE = Gauge("fangate_redis_pool_in_use", "Requests to Redis under way")
REDIS_BREAKER_OPEN = Gauge("fangate_redis_breaker_open", "1 while requests are refused without asking Redis")
REDIS_RECONNECTS = Counter("fangate_redis_reconnects_total", "Connections to Redis made anew")

IN_FLIGHT_MAX: Final = (
    512  # about 15 ms of the server's time; what comes on top waits here, and not against its timeout
)
QUEUE_SECONDS: Final = 1.0  # for a burst of our own to drain; a stalled server ends the wait sooner, by the breaker
_NOT_EXECUTED: Final = ("LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN")  # servers that cannot serve now: no effect


class RedisAway(Unavailable):
    """Redis did not answer in time: whether the command had its effect is unknown."""


class RedisUnreached(RedisAway):
    """Redis could not be asked: the command certainly had no effect."""


class StoreReadonly(RedisUnreached):
    """The server is a replica now: it refused to write, and what it holds may be old."""


class StoreRefused(Exception):
    """Redis refused the command: a defect of ours, a missing right, or its memory is full. Nothing was written."""


class _NoScript(Exception):
    """The server does not have the script: nothing ran."""


class Redis:
    """A client of one server. Functions in `on_reset` are called (without await) when the connection was lost or another epoch
    was met: whatever this process remembers of Redis may be wrong then.
    """

    def __init__(self, address: Address, *, size_max: int, timeout_s: float) -> None:
        """Use `create`."""
        self.on_reset: list[Callable[[], None]] = []
        self._address = address
        self._timeout_s = timeout_s
        self._size_max = size_max
        self._under_way = 0
        self._queue: deque[asyncio.Future[None]] = deque()  # who waits for one of those under way to end
        self._breaker = Breaker()
        self._link: Link | None = None
        self._opening: asyncio.Task[Link] | None = None
        self._epoch: Epoch | None = None  # of the newest connection; None after a reset
        self._was_connected = False
        self._generation = 0  # rises with every reset: a connection that was begun before it is opened anew

    @classmethod
    def create(cls, url: str, *, size_max: int = IN_FLIGHT_MAX, timeout_s: float = 0.15) -> "Redis":
        """A client of `redis://[user:password@]host:port/db` (also rediss:// and unix://); connects when it is first used.

        `size_max` bounds the requests under way; more wait their turn. `timeout_s` bounds each of: connecting, one answer. So a
        stalled server costs at most twice that, and usually once.
        """
        return cls(Address.parse(url), size_max=size_max, timeout_s=timeout_s)

    async def run(
        self,
        script: Script,
        keys: Callable[[Epoch], Sequence[str]],
        args: Callable[[Epoch], Sequence[Value]],
    ) -> Any:
        """Run `script` on one connection, with the key names and arguments of the epoch that connection has.

        Raises RedisUnreached or StoreReadonly (it did not run), RedisAway (unknown), StoreRefused.
        """

        def ask(link: Link) -> Awaitable[Any]:
            names = keys(link.epoch)
            return link.ask("EVALSHA", script.sha, len(names), *names, *args(link.epoch))

        async def load_and_ask(link: Link) -> Any:
            await link.ask("SCRIPT", "LOAD", script.text)
            return await ask(link)

        try:
            return await self._exchange(ask)
        except _NoScript:  # first use, SCRIPT FLUSH or another server: nothing ran
            return await self._exchange(load_and_ask)

    async def command(self, *parts: Value) -> Any:
        """One plain command (`DEL`, `PING`); raises as `run`."""

        async def talk(link: Link) -> Any:
            return await link.ask(*parts)

        return await self._exchange(talk)

    async def epoch(self) -> Epoch:
        """The epoch of a connection to a server that answers now; raises as `run`."""

        async def talk(link: Link) -> Any:
            await link.ask("PING")  # the connection may be an old one
            return link.epoch

        epoch = await self._exchange(talk)
        assert isinstance(epoch, Epoch)
        return epoch

    async def ping(self) -> None:
        """Return if the server answers; raises as `run`."""
        await self.command("PING")

    async def reset(self) -> None:
        """Forget the epoch and the connection, and tell `on_reset`: also for a script that answered REIGN."""
        self._reset()

    async def close(self) -> None:
        """Close the connection; requests under way fail."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        link, self._link = self._link, None
        if link is not None:
            link.end(LinkLost("closed", "the client is closed"))

    async def _exchange(self, talk: Callable[[Link], Awaitable[Any]]) -> Any:
        """`talk` on the connection: counted by the breaker, errors in our words. Straight-line code, for every call runs it."""
        if self._under_way < self._size_max:
            self._under_way += 1
        else:
            await self._turn()
        REDIS_IN_USE.inc()
        asked = False
        try:
            # After the wait for a turn: what waited behind a stalled server must not ask it one after the other.
            if not self._breaker.is_quiet:
                self._ask_breaker()
            link = self._link or await self._connected()
            asked = True
            answer = await talk(link)
        except LinkLost as exc:
            REDIS_ERRORS.labels(exc.kind).inc()
            self._breaker.failed(asyncio.get_running_loop().time())
            REDIS_BREAKER_OPEN.set(self._breaker.is_open)
            raise (RedisAway if asked else RedisUnreached)(detail=f"{exc.kind}: {exc}") from exc
        except hiredis.ReplyError as exc:
            text = str(exc)
            if text.startswith("NOSCRIPT"):
                self._is_alive()  # said here, or a probe that met a fresh server would leave the breaker open for ever
                raise _NoScript from exc
            raise self._refused(text) from exc
        except RedisUnreached:  # by the breaker
            raise
        except BaseException:
            self._breaker.abandoned()
            raise
        finally:
            REDIS_IN_USE.dec()
            self._leave()
        if not self._breaker.is_quiet:
            self._is_alive()
        return answer

    def _is_alive(self) -> None:
        if self._breaker.succeeded():
            REDIS_BREAKER_OPEN.set(0)

    def _ask_breaker(self) -> None:
        if not self._breaker.allows(asyncio.get_running_loop().time()):
            REDIS_ERRORS.labels("breaker").inc()
            raise RedisUnreached(detail="the breaker is open")

    async def _turn(self) -> None:
        """Wait for room. Not counted by the breaker: a burst of our own says nothing of the server."""
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            async with asyncio.timeout(QUEUE_SECONDS):
                await turn
        except BaseException as exc:
            if turn.done() and not turn.cancelled():
                self._leave()  # it was ours at the moment when we gave up
            if not isinstance(exc, TimeoutError):
                raise
            REDIS_ERRORS.labels("queue").inc()
            raise RedisUnreached(detail="too many requests wait for Redis") from None

    def _leave(self) -> None:
        """Hand the place on to who waits longest, if anybody does."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._under_way -= 1

    def _refused(self, text: str) -> Exception:
        """Count a server's no and say what it means. One by a server that is well does not open the breaker."""
        word = text.partition(" ")[0]
        REDIS_ERRORS.labels(word if word.isalpha() and word.isupper() else "ERR").inc()
        if word in _NOT_EXECUTED:
            self._breaker.failed(asyncio.get_running_loop().time())
            REDIS_BREAKER_OPEN.set(self._breaker.is_open)
            return RedisUnreached(detail=text)
        self._breaker.succeeded()
        if word == "READONLY":
            self._reset()
            return StoreReadonly(detail=text)
        return StoreRefused(text)

    async def _connected(self) -> Link:
        """The one connection, opened by whoever needs it first while the others wait for the same."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._open(), name="connect to Redis")
            self._opening.add_done_callback(self._opened)
        return await asyncio.shield(self._opening)

    async def _open(self) -> Link:
        while True:
            generation = self._generation  # before we look: a reset meanwhile makes this connection an old one
            link = await open_link(self._address, timeout_s=self._timeout_s, on_lost=self._lost)
            if generation == self._generation:
                break
            link.retire()
        if self._epoch is not None and link.epoch != self._epoch:  # another server, or the same in another reign
            self._reset()
        self._epoch, self._link = link.epoch, link
        if self._was_connected:
            REDIS_RECONNECTS.inc()
        self._was_connected = True
        return link

    def _opened(self, task: "asyncio.Task[Link]") -> None:
        self._opening = None
        if not task.cancelled():
            task.exception()  # told to all who wait; there may be none left

    def _lost(self, link: Link, error: LinkLost) -> None:
        if link is not self._link:
            return  # a retired one, or one that never came to be used
        self._link = None
        if error.kind == "lost":
            self._reset()  # the server may come back without its memory

    def _reset(self) -> None:
        self._epoch = None
        self._generation += 1
        link, self._link = self._link, None
        if link is not None:
            link.retire()
        for call in self.on_reset:
            call()


__all__ = ["Epoch", "Redis", "RedisAway", "RedisUnreached", "StoreReadonly", "StoreRefused"]
