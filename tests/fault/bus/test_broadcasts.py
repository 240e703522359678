"""The wire is cut while a listener is connecting: it connects again, whatever step it had reached."""

import asyncio

from libs.common.bus.broadcast import Broadcast
from libs.common.contracts.envelope import Context, Message
from tests.support.bus import eventually
from tests.support.proxies import TcpProxy
from tests.support.servers import TestBroker

CUTS = 150
BETWEEN_S = 0.004  # a connect takes some 20 ms in a dozen steps: the cuts hit them all


async def test_cuts_at_every_step_of_connecting_do_not_end_the_listening(broker: TestBroker, proxy: TcpProxy) -> None:
    async def ignore(_: Message, __: Context) -> None: ...

    async def connected() -> None: ...

    host, port = broker.url("edge").rpartition("@")[2].partition("/")[0].split(":")
    url = broker.url("edge").replace(f"{host}:{port}", f"127.0.0.1:{proxy.port}")
    broadcast = Broadcast(
        url, service="edge", bindings=["auth.org.#", "auth.key.#"], on_message=ignore, on_connected=connected,
        back_off_s=(0.01, 0.01),
    )  # fmt: skip
    listening = asyncio.create_task(broadcast.run())
    # when
    for number in range(CUTS):
        seen = proxy.connections
        await eventually(lambda seen=seen: _later(proxy, seen), timeout_s=10.0)  # type: ignore[misc]
        await asyncio.sleep(BETWEEN_S * (number % 10))
        proxy.cut()
        assert not listening.done(), listening.exception()
    # then
    await eventually(lambda: _hears(broadcast), timeout_s=20.0)
    assert not listening.done()
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def _later(proxy: TcpProxy, seen: int) -> bool:
    return proxy.connections > seen


async def _hears(broadcast: Broadcast) -> bool:
    return broadcast.away_for_s == 0.0
