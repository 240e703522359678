"""How services meet: typed messages over RabbitMQ. What the outside uses is named here; the rest is inside."""

from libs.common.bus.broadcast import Broadcast
from libs.common.bus.bus import Bus
from libs.common.bus.consumer import Consumer, batch, events, jobs, rpc
from libs.common.bus.errors import BusError
from libs.common.bus.memory import MemoryBroker, MemoryBus

__all__ = ["Broadcast", "Bus", "BusError", "Consumer", "MemoryBroker", "MemoryBus", "batch", "events", "jobs", "rpc"]
