"""What a route's query may carry: names as the platforms document them, and what their values must look like.

Values pass through untouched; where the platforms document no closed set of values, the platform judges.
"""

import re
from collections.abc import Mapping
from typing import Final, TypeAlias
from urllib.parse import unquote_plus

import msgspec

from libs.common.contracts.catalogue import catalogue
from services.edge.domain.refusal import Refusal

NAME_CHARACTERS_MAX: Final = 64  # of an unknown name in our error


class Values(msgspec.Struct, frozen=True):
    """The values of one parameter. `expects` is the end of the sentence "must be …"; `values` the closed set, if it is one;
    `least` and `most` the bounds of a number.
    """

    pattern: str
    expects: str
    values: tuple[str, ...] = ()
    is_list: bool = False  # several values, separated by commas or in repeated parameters
    least: int | None = None
    most: int | None = None

    def fullmatch(self, value: str) -> bool:
        parts = value.split(",") if self.is_list else [value]
        return all(re.fullmatch(self.pattern, part) for part in parts)


def one_of(*values: str, is_list: bool = False) -> Values:
    """A closed set: a value outside it is refused in words that name the set."""
    return Values("|".join(values), f"one of {', '.join(values)}", values, is_list)


QueryRule: TypeAlias = re.Pattern[str] | Values | None  # None = anything; the platform, or the service asked, judges
Rules: TypeAlias = Mapping[str, QueryRule]

WHOLE: Final = Values("[0-9]{1,18}", "a whole number from 0", least=0, most=10**18 - 1)
_PAGE: Final = Values("0*[1-9][0-9]{0,8}", "a whole number from 1", least=1, most=10**9 - 1)
_SIZE: Final = Values("0*([1-9]|[1-4][0-9]|50)", "a whole number from 1 to 50", least=1, most=50)
_BOOLEAN: Final = one_of("true", "false")
_SORT: Final = one_of("most_recent_messages", "online_now", "most_unanswered_chats")
_CHAT_FILTER: Final = one_of(
    "unread", "online", "subscribers", "followers", "recent_subscribers", "not_answered", "spent_more_than_50",
    "on_free_trial", "has_tipped", "spenders", "exclude_creators", "subscribed_to", "not_muted", "archived", is_list=True,
)  # fmt: skip
_SMART_LIST: Final = one_of(
    "subscribers", "auto_renewing", "non_renewing", "followers", "free_trial_subscribers", "expired_subscribers",
    "spent_more_than_50", "muted", is_list=True,
)  # fmt: skip
_MEDIA_TYPE: Final = one_of("image", "video", "audio", "document", is_list=True)

_PAGING: Final[Rules] = {"page": _PAGE, "size": _SIZE, "cursor": None, "limit": WHOLE, "offset": WHOLE}
_CHATS: Final[Rules] = {
    **_PAGING, "customListId": None, "smartListIds": _SMART_LIST, "filter": _CHAT_FILTER, "search": None, "sortBy": _SORT,
}  # fmt: skip
_MESSAGES: Final[Rules] = {**_PAGING, "markAsRead": _BOOLEAN}
_INSIGHTS: Final[Rules] = {**_PAGING, "startDate": None, "endDate": None, "source": None}
_MEDIA: Final[Rules] = {
    **_PAGING, "mediaType": _MEDIA_TYPE, "folderName": None, "usage": None, "purchasedBy": None, "status": None,
    "variants": None,
}  # fmt: skip
_SEARCH: Final[Rules] = {**_PAGING, "search": None, "filter": None, "sortBy": None}

QUERIES: Final[dict[str, Rules]] = {
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


def check_rules() -> None:
    """Raise ValueError if a rule is for a route that does not exist."""
    unknown = QUERIES.keys() - catalogue().keys()
    if unknown:
        raise ValueError(f"query rules of routes that do not exist: {sorted(unknown)}")


def check_query(rules: Rules, query: str) -> None:
    """Raise Refusal (400) for a name that `rules` do not list or a value that they do not allow."""
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
        if plain not in rules:
            raise Refusal("INVALID_REQUEST", f"query.{name[:NAME_CHARACTERS_MAX]}: unknown parameter")
        rule = rules[plain]
        if rule is not None and not rule.fullmatch(unquote_plus(raw_value)):
            what = f"must be {rule.expects}" if isinstance(rule, Values) else "invalid value"
            raise Refusal("INVALID_REQUEST", f"query.{plain}: {what}")
