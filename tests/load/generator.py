"""The load: keep-alive connections that each ask, wait for the whole answer, and ask again. A bare epoll loop in a process of
its own, a dozen microseconds a request, so that it is not what is measured.

`python -m tests.load.generator` reads a `Load` as JSON from standard input and prints an `Outcome` as JSON.
"""

import json
import select
import socket
import sys
import time
from array import array
from dataclasses import asdict, dataclass
from typing import Final

SILENCE_SECONDS_MAX: Final = 45.0  # above every deadline of a gateway: then the connection counts as dead
_LENGTH: Final = b"content-length:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What to ask, and until when: `seconds`, or `requests` in all if it is not 0."""

    port: int
    path: str
    headers: dict[str, str]
    connections: int
    seconds: float = 0.0
    requests: int = 0

    @property
    def bytes(self) -> bytes:
        lines = [f"GET {self.path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}"]
        return "\r\n".join([*lines, *(f"{k}: {v}" for k, v in self.headers.items()), "", ""]).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it. Latencies in milliseconds; `failed` are answers other than 200, and dead connections."""

    answered: int
    failed: int
    first_failure: str
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_seconds: float  # of the generator itself

    @property
    def per_second(self) -> float:
        return self.answered / self.seconds


class _Connection:
    __slots__ = ("answer", "asked_at", "missing", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answer = b""
        self.missing = 0  # bytes of the answer still to come, once its head is known
        self.asked_at = 0.0

    def is_whole(self, data: bytes) -> bool:
        """Take bytes in; whether the answer is complete."""
        if self.missing:
            self.missing -= len(data)
            return self.missing <= 0
        self.answer += data
        end = self.answer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = self.answer[:end].lower()
        at = head.find(_LENGTH)
        length = int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        self.missing = end + 4 + length - len(self.answer)
        return self.missing <= 0


def run(load: Load) -> Outcome:
    """Make the load; returns when its time is over and the last answers are in."""
    request = load.bytes
    poll = select.epoll()
    open_: dict[int, _Connection] = {}
    latencies, failed, first_failure = array("d"), 0, ""
    clock, cpu = time.perf_counter, time.process_time()
    for _ in range(load.connections):
        connection = _Connection(load.port)
        open_[connection.socket.fileno()] = connection
        poll.register(connection.socket, select.EPOLLIN)
    asked, started = 0, clock()
    end = started + load.seconds if not load.requests else float("inf")
    for connection in list(open_.values()):
        connection.asked_at = clock()
        connection.socket.sendall(request)
        asked += 1
    waiting = len(open_)
    while waiting:
        events = poll.poll(SILENCE_SECONDS_MAX)
        if not events:
            failed, first_failure = failed + waiting, first_failure or "no answer"
            break
        for number, _ in events:
            connection = open_[number]
            data = connection.socket.recv(65_536)
            if not data:
                failed, first_failure, waiting = failed + 1, first_failure or "connection closed", waiting - 1
                poll.unregister(number)
                continue
            if not connection.is_whole(data):
                continue
            now = clock()
            if connection.answer.startswith(b"HTTP/1.1 200"):
                latencies.append(now - connection.asked_at)
            else:
                failed, first_failure = failed + 1, first_failure or connection.answer[:2_000].decode(errors="replace")
            connection.answer, connection.missing = b"", 0
            if now >= end or (load.requests and asked >= load.requests):
                waiting -= 1
                continue
            connection.asked_at = now
            connection.socket.sendall(request)
            asked += 1
    seconds = clock() - started
    for connection in open_.values():
        connection.socket.close()
    ordered = sorted(latencies) or [0.0]
    return Outcome(
        answered=len(latencies), failed=failed, first_failure=first_failure, seconds=seconds,
        p50_ms=1_000 * ordered[len(ordered) // 2], p99_ms=1_000 * ordered[len(ordered) * 99 // 100],
        max_ms=1_000 * ordered[-1], cpu_seconds=time.process_time() - cpu,
    )  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(asdict(run(Load(**json.load(sys.stdin))))))  # noqa: T201
