"""Routes as the edge sees them: the shared catalogue with a surface's prefix.

The 60 calls themselves (names, prices, permissions, retry classes) are in `libs/common/contracts/catalogue.tsv`.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from libs.common.contracts.catalogue import CatalogueRoute, RetryClass, catalogue
from services.edge.domain.queries import QUERIES, Rules, check_rules

WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
MODEL_PARAMETER: Final = "model_id"
ACCOUNT_PARAMETER: Final = "account"  # a model's UUID, or the account's number on its platform


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One route of a surface. `call` names the catalogue's route for the platform; empty = no call to a platform."""

    name: str
    method: str
    path: str  # template with the surface's prefix
    permission: str | None  # None = public: no key, no windows
    cost_credits: int = 0
    call: str = ""
    retry: RetryClass = RetryClass.READ
    query: Rules = {}
    rate_class: str = ""  # a window of its own for keys, by class
    key_per_minute: int | None = None  # of that window; None = the key's own limit
    model_is_keys: bool = False  # the path names no model: it is the one that the key is bound to
    requires_version: bool = False  # a request without a version is refused
    feature: str = ""  # which the operator switches on for single organizations; sandbox keys need none
    shows_secret: bool = False  # the answer holds what is shown once, to the caller who asked

    @property
    def is_unsafe(self) -> bool:
        """Whether an `Idempotency-Key` means something here."""
        return self.method not in SAFE

    @property
    def takes_body(self) -> bool:
        return self.method in WITH_BODY

    @property
    def may_repeat(self) -> bool:
        """Whether a call whose answer was lost is harmless to send again."""
        return self.retry is not RetryClass.NEVER

    @property
    def may_go_on(self) -> bool:
        """Whether a call that somebody began may be made once more under its id: its fence answers, or it is harmless."""
        return bool(self.call) or self.may_repeat

    @property
    def is_secured(self) -> bool:
        """Whether it may not be served without a permission."""
        return bool(self.call or self.cost_credits)

    @property
    def needs_subscription(self) -> bool:
        """Calls to a platform do; the edge's own routes do not."""
        return bool(self.call)


def proxied(call: CatalogueRoute, path: str, *, name: str = "") -> Route:
    """The route of `call` at `path`; `name` where one call has a second path on a surface."""
    return Route(
        name=name or call.name,
        method=call.method,
        path=path,
        permission=call.permission,
        cost_credits=call.credits,
        call=call.name,
        retry=call.retry,
        query=QUERIES.get(call.name, {}),
    )


def with_limits(routes: tuple[Route, ...], limits: Mapping[str, int]) -> tuple[Route, ...]:
    """`routes`, those that `limits` names with a window of their own for each key: calls a minute by the call's name."""
    return tuple(
        msgspec.structs.replace(route, rate_class=name, key_per_minute=limits[name])
        if (name := route.call or route.name) in limits
        else route
        for route in routes
    )


def route_limits(text: str) -> dict[str, int]:
    """The operator's limits: `messages_send=30,mass_messages_send=5`, by the names of calls to a platform. Raises ValueError."""
    limits: dict[str, int] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, limit = entry.partition("=")
        if name not in catalogue() or name in limits or not (limit.isascii() and limit.isdigit() and int(limit)):
            raise ValueError(f"{entry}: `call=calls a minute` of a known call is expected, once")
        limits[name] = int(limit)
    return limits


def checked(routes: tuple[Route, ...]) -> tuple[Route, ...]:
    """`routes`, if they may be served. Raises ValueError for a price that is not a whole number of credits, a call to a
    platform without a permission, a query rule of an unknown route, or a name given twice.
    """
    check_rules()
    names: set[str] = set()
    for route in routes:
        if route.name in names:
            raise ValueError(f"{route.name}: two routes have this name")
        names.add(route.name)
        if type(route.cost_credits) is not int or route.cost_credits < 0:
            raise ValueError(f"{route.name}: the price must be a whole number of credits, 0 or more")
        if route.is_secured and not route.permission:
            raise ValueError(f"{route.name}: a secured route needs a permission")
    return routes
