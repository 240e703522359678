"""Passwords as argon2id digests: m = 19 MiB, t = 2, p = 1, in two threads of their own, for the loop has other callers to answer."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from libs.common.errors import Unavailable

THREADS: Final = 2
WAITING_MAX: Final = 64  # at 20 to 40 ms each: who comes later would wait longer than a browser does
# Of random text that nobody kept, with the parameters below.
_DUMMY: Final = "$argon2id$v=19$m=19456,t=2,p=1$a+CUCsDfEr8LFCoLZr7X8w$mmTWed7BCNX034W2xQOJM3tRUxhViK3liFdsCkUI48E"

_T = TypeVar("_T")


class Argon2Passwords:
    """The port `Passwords`."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="argon2")
        self._turns = asyncio.Semaphore(THREADS)
        self._waiting = 0

    async def digest(self, password: str) -> str:
        return await self._in_turn(lambda: self._hasher.hash(password))

    async def is_right(self, digest: str | None, password: str) -> bool:
        # Nobody's address costs as much as somebody's: how long an answer takes tells nothing.
        is_same = await self._in_turn(lambda: self._verify(digest or _DUMMY, password))
        return is_same and digest is not None

    def is_outdated(self, digest: str) -> bool:
        return self._hasher.check_needs_rehash(digest)

    def _verify(self, digest: str, password: str) -> bool:
        try:
            return self._hasher.verify(digest, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_turn(self, work: Callable[[], _T]) -> _T:
        if self._waiting >= WAITING_MAX:
            raise Unavailable(detail=f"{WAITING_MAX} passwords wait for their turn")
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1
