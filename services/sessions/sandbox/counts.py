"""What the sandbox was asked and what it did: the other side of "debits = calls delivered"."""

from collections import Counter, OrderedDict, deque
from typing import Any, Final

DELIVERED_MAX: Final = 10_000  # writes remembered one by one, newest kept
LAST_MAX: Final = 2_000  # paths whose last bytes are remembered


class CallBook:
    """Counters of this process since its start or the last reset."""

    def __init__(self) -> None:
        self.last: OrderedDict[str, tuple[int, bytes]] = OrderedDict()  # path -> status and the exact bytes served
        self.reset()

    def reset(self) -> None:
        self.total = 0
        self.answered_2xx = 0
        self.by_route: Counter[str] = Counter()
        self.by_route_2xx: Counter[str] = Counter()
        self.by_status: Counter[str] = Counter()
        self.auth: Counter[str] = Counter()
        self.writes = 0
        self.delivered: deque[dict[str, Any]] = deque(maxlen=DELIVERED_MAX)
        self.last.clear()

    def arrived(self, route: str) -> None:
        """A call of a catalogue route came, whatever becomes of it."""
        self.total += 1
        self.by_route[route] += 1

    def answered(self, route: str, status: int) -> None:
        """An answer that is whole and as the platform means it went out."""
        self.by_status[str(status)] += 1
        if status < 300:
            self.answered_2xx += 1
            self.by_route_2xx[route] += 1

    def wrote(self, route: str, account: int, path: str, body: bytes) -> None:
        """A write had its effect, whether or not its answer goes out."""
        self.writes += 1
        self.delivered.append(
            {"route": route, "account": account, "path": path, "body": body[:1_000].decode(errors="replace")}
        )

    def remember(self, path: str, status: int, body: bytes) -> None:
        """Keep the bytes just served for `path`."""
        self.last[path] = (status, body)
        if len(self.last) > LAST_MAX:
            self.last.popitem(last=False)

    def shown(self) -> dict[str, Any]:
        """All counters, as the control endpoint answers them."""
        return {
            "total": self.total,
            "answered_2xx": self.answered_2xx,
            "by_route": dict(self.by_route),
            "by_route_2xx": dict(self.by_route_2xx),
            "by_status": dict(self.by_status),
            "auth": dict(self.auth),
            "writes": self.writes,
            "delivered": list(self.delivered),
        }
