"""Routes as the edge sees them: the shared catalogue with a surface's prefix, and what a request may carry.

The 60 calls themselves (names, prices, permissions, retry classes) are in `libs/common/contracts/catalogue.tsv`.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_plus

import msgspec

from libs.common.contracts.catalogue import CatalogueRoute, RetryClass, catalogue
from services.edge.domain.refusal import Refusal

QueryRule = re.Pattern[str] | None  # what a value must look like; None = the platform judges

WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
MODEL_PARAMETER: Final = "model_id"


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One route of a surface. `call` names the catalogue's route for the platform; empty = no call to a platform."""

    name: str
    method: str
    path: str  # template with the surface's prefix
    permission: str | None  # None = public: no key, no windows
    cost_credits: int = 0
    call: str = ""
    retry: RetryClass = RetryClass.READ
    query: Mapping[str, QueryRule] = {}
    rate_class: str = ""  # a window of its own for keys, by class

    @property
    def takes_body(self) -> bool:
        return self.method in WITH_BODY

    @property
    def may_repeat(self) -> bool:
        """Whether a call whose answer was lost is harmless to send again."""
        return self.retry is not RetryClass.NEVER

    @property
    def is_secured(self) -> bool:
        """Whether it may not be served without a permission."""
        return bool(self.call or self.cost_credits)

    @property
    def needs_subscription(self) -> bool:
        """Calls to a platform do; the edge's own routes do not."""
        return bool(self.call)


_INTEGER: Final = re.compile(r"[0-9]{1,18}")
_PAGE: Final = re.compile(r"0*[1-9][0-9]{0,8}")
_SIZE: Final = re.compile(r"0*([1-9]|[1-4][0-9]|50)")
_BOOLEAN: Final = re.compile(r"true|false")
_SORT: Final = re.compile(r"most_recent_messages|online_now|most_unanswered_chats")

# Names that a route's query may carry, as the platforms document them; values pass through untouched.
_PAGING: Final[dict[str, QueryRule]] = {
    "page": _PAGE,
    "size": _SIZE,
    "cursor": None,
    "limit": _INTEGER,
    "offset": _INTEGER,
}
_CHATS: Final[dict[str, QueryRule]] = {
    **_PAGING, "customListId": None, "smartListIds": None, "filter": None, "search": None, "sortBy": _SORT,
}  # fmt: skip
_MESSAGES: Final[dict[str, QueryRule]] = {**_PAGING, "markAsRead": _BOOLEAN}
_INSIGHTS: Final[dict[str, QueryRule]] = {**_PAGING, "startDate": None, "endDate": None, "source": None}
_MEDIA: Final[dict[str, QueryRule]] = {
    **_PAGING, "mediaType": None, "folderName": None, "usage": None, "purchasedBy": None, "status": None, "variants": None,
}  # fmt: skip
_SEARCH: Final[dict[str, QueryRule]] = {**_PAGING, "search": None, "filter": None, "sortBy": None}

_QUERIES: Final[dict[str, Mapping[str, QueryRule]]] = {
    "chats_list": _CHATS, "chats_read_unread": _PAGING, "agency_chats_list": _CHATS,
    "messages_list": _MESSAGES, "agency_messages_list": _MESSAGES,
    "chats_list_media": _MEDIA, "vault_list_media": _MEDIA, "vault_lists_list": _SEARCH,
    "mass_messages_list": _SEARCH, "user_lists_list": _SEARCH, "user_lists_list_smart": _PAGING,
    "user_lists_list_members": _SEARCH, "followers_list": _SEARCH, "subscribers_list": _SEARCH,
    "fans_read_info": {"fanIds": None, "ids": None}, "posts_list": _SEARCH, "tracking_links_list": _SEARCH,
    "earnings_list": _INSIGHTS, "earnings_list_top_spenders": _INSIGHTS, "subscribers_read_counts": _INSIGHTS,
    "earnings_read_chart": _INSIGHTS, "earnings_read_overview": _INSIGHTS, "reach_read_visitors": _INSIGHTS,
    "payouts_list_requests": _INSIGHTS, "referrals_list_payouts": _INSIGHTS, "payouts_list_transactions": _INSIGHTS,
    "payouts_read_stats": _INSIGHTS, "payouts_list_chargebacks": _INSIGHTS,
    "agency_creators_list": _SEARCH, "agency_followers_list": _SEARCH, "agency_subscribers_list": _SEARCH,
    "agency_earnings_list": _INSIGHTS, "agency_earnings_list_top_spenders": _INSIGHTS,
    "agency_subscribers_read_counts": _INSIGHTS, "agency_members_list": _SEARCH,
}  # fmt: skip


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
        query=_QUERIES.get(call.name, {}),
    )


def checked(routes: tuple[Route, ...]) -> tuple[Route, ...]:
    """`routes`, if they may be served. Raises ValueError for a price that is not a whole number of credits, a call to a
    platform without a permission, a query rule of an unknown route, or a name given twice.
    """
    unknown = _QUERIES.keys() - catalogue().keys()
    if unknown:
        raise ValueError(f"query rules of routes that do not exist: {sorted(unknown)}")
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


def check_query(route: Route, query: str) -> None:
    """Raise Refusal (400) for a name that `route` does not list or a value that it does not allow."""
    if not query:
        return
    if not query.isascii():
        raise Refusal("INVALID_REQUEST", "query: characters beyond ASCII must be percent-encoded")
    for pair in query.split("&"):
        if not pair:
            continue
        raw_name, _, raw_value = pair.partition("=")
        name = unquote_plus(raw_name)
        # `filter[]=x` and `filter=x` are two spellings of one parameter
        plain = name.removesuffix("[]")
        if plain not in route.query:
            raise Refusal("INVALID_REQUEST", f"query.{name[:64]}: unknown parameter")
        rule = route.query[plain]
        if rule is not None and not rule.fullmatch(unquote_plus(raw_value)):
            raise Refusal("INVALID_REQUEST", f"query.{plain}: invalid value")
