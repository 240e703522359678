"""Ports that are free now, found by binding them: 20000-29999 for servers, given starting points for what people type."""

import random
import socket
from collections.abc import Sequence
from typing import Final

# Below the ephemeral range: a client that keeps retrying a dead ephemeral port can connect to itself and occupy it.
RANGE: Final = range(20_000, 30_000)
_TRIES: Final = 500
_CHANCE: Final = random.SystemRandom()  # two processes that were given the same seed must not look at the same ports


class NoFreePortError(Exception):
    """No port could be bound; the message says where was looked."""


def is_free(port: int) -> bool:
    """Whether `port` can be bound on 127.0.0.1 and on all addresses at this moment."""
    for host in ("127.0.0.1", ""):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ports in TIME_WAIT are free enough
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True


def pick(count: int, *, wanted: Sequence[int] = ()) -> list[int]:
    """`count` different free ports, the `wanted` ones first where they are free. Raises NoFreePortError."""
    picked = [port for port in dict.fromkeys(wanted) if port in RANGE and is_free(port)][:count]
    for _ in range(_TRIES):
        if len(picked) == count:
            return picked
        port = _CHANCE.choice(RANGE)
        if port not in picked and is_free(port):
            picked.append(port)
    raise NoFreePortError(f"no {count} free ports between {RANGE.start} and {RANGE.stop - 1}")


def next_free(start: int, *, taken: Sequence[int] = ()) -> int:
    """The first free port from `start` upwards that is not in `taken`. Raises NoFreePortError after 500 tries."""
    for port in range(start, min(start + _TRIES, 65_536)):
        if port not in taken and is_free(port):
            return port
    raise NoFreePortError(f"no free port from {start} upwards")
