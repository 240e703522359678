"""Two more edges of the running system, which believe a test about which client it is: failures are counted by address."""

import asyncio
import contextlib
from collections.abc import Iterator

import pytest

from tests.support.personal_keys import an_edge_beside
from tests.support.stack import Stack


@pytest.fixture(scope="session")
def two_edges(stack: Stack) -> Iterator[tuple[str, str]]:
    """Their URLs."""
    with asyncio.Runner() as runner, contextlib.ExitStack() as cleanup:
        urls = []
        for _ in range(2):
            beside = an_edge_beside(stack, FANGATE_TRUSTED_PROXIES="127.0.0.1", FANGATE_BASE_URL="")
            urls.append(runner.run(beside.__aenter__()))
            cleanup.callback(_leave, runner, beside)
        yield urls[0], urls[1]


def _leave(runner: asyncio.Runner, beside: contextlib.AbstractAsyncContextManager[str]) -> None:
    runner.run(beside.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def second_edge(two_edges: tuple[str, str]) -> str:
    """The other one."""
    return two_edges[1]
