"""What an edge reads from its environment; `docs/operations.md` describes each setting."""

import re
from typing import Final

from libs.common.settings import CommonSettings, Secret

_CONTACT: Final = re.compile(r"(?:mailto:[!-~]+@[!-~]+|https://[!-~]+)")
FENCE_MARGIN_SECONDS: Final = 5.0  # for the confirm of a call whose platform took all its time
FENCE_SECONDS_MAX: Final = 35.0  # billing takes a lease for final 40 s after it granted last: 5 s for clocks that jump


class EdgeSettings(CommonSettings, frozen=True, kw_only=True):
    """`FANGATE_<NAME>` or `FANGATE_<NAME>_EDGE`."""

    key_peppers: Secret  # the ring, active first: `name:hex64,name:hex64`
    postgres_dsn: Secret
    amqp_url: Secret
    redis_url: Secret
    redis_prefix: str = ""
    host: str = "127.0.0.1"
    port: int = 8080
    security_contact: str = ""  # mailto:… or https://…, for /.well-known/security.txt; empty: there is none
    base_url: str = ""  # the gateway's public address, for links in answers; empty: as the caller reached it
    route_limits: str = ""  # calls a minute of each key on single routes: `messages_send=30,mass_messages_send=5`
    api_version_dates: str = ""  # when versions are deprecated and end: `2025-06-26=2027-01-15/2027-07-15`
    bus_reply: str = "direct"
    edge_processes: int = 1  # more than one on this host share the port
    replicas_edge: int = 1  # edges in all: without Redis each keeps its share of the windows
    trusted_proxies: str = ""  # addresses and networks whose X-Forwarded-* are believed
    require_https: bool | None = None  # None: everywhere but in dev and test
    upstream_timeout_seconds: float = 30.0
    request_fence_seconds: float = 35.0

    @property
    def refuses_plain_http(self) -> bool:
        return self.env not in {"dev", "test"} if self.require_https is None else self.require_https

    def __post_init__(self) -> None:
        if self.request_fence_seconds < self.upstream_timeout_seconds + FENCE_MARGIN_SECONDS:
            raise ValueError(f"request_fence_seconds: {FENCE_MARGIN_SECONDS} s above upstream_timeout_seconds at least")
        if self.security_contact and not is_contact(self.security_contact):
            raise ValueError("security_contact: mailto:… or https://…, in one line of ASCII")
        if self.request_fence_seconds > FENCE_SECONDS_MAX:
            raise ValueError(f"request_fence_seconds: at most {FENCE_SECONDS_MAX}")
        if self.replicas_edge < 1 or self.edge_processes < 1:
            raise ValueError("replicas_edge, edge_processes: at least 1")


def is_contact(text: str) -> bool:
    """Whether RFC 9116 takes it as a `Contact`: a URI, and HTTPS where it is one of the web."""
    return _CONTACT.fullmatch(text) is not None
