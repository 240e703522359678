"""What a query may carry: known names, and of closed sets their members."""

import pytest

from services.edge.domain.queries import QUERIES, check_query
from services.edge.domain.refusal import Refusal

CHATS = QUERIES["chats_list"]


@pytest.mark.parametrize("query", ["", "page=1", "page=2&size=50", "filter=unread&filter=online", "filter=unread,online", "smartListIds[]=muted", "search=%20x&sortBy=online_now", "cursor=", "&page=1&"])  # fmt: skip
def test_allowed(query: str) -> None:
    check_query(CHATS, query)


@pytest.mark.parametrize("query", ["x=1", "page=0", "page=-1", "page=1.5", "size=0", "size=51", "sortBy=best", "Page=1", "pa%67e=x", "page=%C3%BC", "page=\udcff", "sortBy=online_now,online_now", "filter=unread,new", "smartListIds[]=a"])  # fmt: skip
def test_refused_naming_the_parameter(query: str) -> None:
    with pytest.raises(Refusal) as caught:
        check_query(CHATS, query)
    assert caught.value.code == "INVALID_REQUEST"
    assert caught.value.public.startswith("query")


@pytest.mark.parametrize(
    ("route", "query", "text"),
    [
        ("chats_list", "colour=red", "query.colour: unknown parameter"),
        ("chats_list", "size=51", "query.size: must be a whole number from 1 to 50"),
        (
            "chats_list",
            "sortBy=best",
            "query.sortBy: must be one of most_recent_messages, online_now, most_unanswered_chats",
        ),
        ("messages_list", "markAsRead=yes", "query.markAsRead: must be one of true, false"),
        ("vault_list_media", "mediaType=gif", "query.mediaType: must be one of image, video, audio, document"),
    ],
)
def test_R050_the_text_names_parameter_and_allowed_values(route: str, query: str, text: str) -> None:
    with pytest.raises(Refusal) as caught:
        check_query(QUERIES[route], query)
    assert caught.value.public == text


def test_a_route_without_rules_takes_no_query() -> None:
    with pytest.raises(Refusal):
        check_query({}, "page=1")
