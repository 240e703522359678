"""The names of all Redis keys. Everything one call touches carries the hash tag `{org}`: one slot of a cluster.

`prefix` keeps two systems apart on one server and is empty in production. No window is part of a name: nothing to sweep.
"""

from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from libs.common.redis.client import Epoch


def admission(org: UUID, prefix: str = "") -> str:
    """Hash: the organization's auth version, minute and day windows."""
    return f"{prefix}adm:{{{org}}}"


def key_window(org: UUID, key_id: UUID, route_class: str = "", prefix: str = "") -> str:
    """Hash: the window of one API key, or of one of its rate classes that has a limit of its own."""
    return f"{prefix}adm:{{{org}}}:k:{key_id}" + (f":{route_class}" if route_class else "")


def lease(org: UUID, epoch: "Epoch | str", prefix: str = "") -> str:
    """Hash: the credits set aside for proxy calls. A server that lost or regained its data has another epoch, so an old
    copy can never be spent.
    """
    return f"{prefix}lz:{{{org}}}:{epoch}"


def lease_negative(org: UUID, prefix: str = "") -> str:
    """String: why there was no lease a moment ago (`E<balance>`, `B<need>`)."""
    return f"{prefix}lz:{{{org}}}:e"


def lease_refill_lock(org: UUID, prefix: str = "") -> str:
    """String: the token of the one edge that asks billing for more."""
    return f"{prefix}lz:{{{org}}}:r"


def failures(address: str, prefix: str = "") -> str:
    """Hash: failed authentications of a client address (IPv6: its /64)."""
    return f"{prefix}fail:{{{address}}}"


def pace(who: str, prefix: str = "") -> str:
    """String: calls of a client of OAuth at the token endpoint, until their window ends."""
    return f"{prefix}pace:{{{who}}}"
