"""A broker behind a breakable wire, and a broker that may itself be broken."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from libs.common.bus import Bus
from tests.support.own_broker import OwnBroker
from tests.support.proxies import TcpProxy
from tests.support.servers import TestBroker

Connect = Callable[..., Awaitable[Bus]]


@pytest.fixture
async def proxy(broker: TestBroker) -> AsyncIterator[TcpProxy]:
    """A wire to this test's virtual host."""
    parts = urlsplit(broker.admin_url)
    own = TcpProxy(parts.hostname or "", parts.port or 0)
    await own.start()
    yield own
    await own.close()


@pytest.fixture
async def connect(broker: TestBroker, proxy: TcpProxy) -> AsyncIterator[Connect]:
    """`await connect("edge")` goes through the wire, `await connect("edge", direct=True)` does not."""
    buses: list[Bus] = []

    async def start(service: str, *, direct: bool = False) -> Bus:
        url = broker.url(service)
        if not direct:
            parts = urlsplit(url)
            login = parts.netloc.rpartition("@")[0]
            url = urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{proxy.port}"))
        bus = await Bus.connect(url, service=service)
        buses.append(bus)
        return bus

    yield start
    proxy.flow()
    for bus in buses:
        await bus.close()


@pytest.fixture
async def own_broker(tmp_path: Path) -> AsyncIterator[OwnBroker]:
    """A whole RabbitMQ for one test."""
    own = OwnBroker(tmp_path)
    try:
        await own.start()
        yield own
    finally:
        await own.stop()
