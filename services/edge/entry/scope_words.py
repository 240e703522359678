"""Scopes in words that people understand before they agree."""

from typing import Final

from libs.common.contracts.catalogue import catalogue

SCOPES: Final = tuple(sorted({scope for route in catalogue().values() for scope in route.scopes}))
WORDS: Final = {
    "read:self": "See your profile on the platform",
    "read:chat": "Read your chats and messages",
    "write:chat": "Send and delete messages in your name",
    "read:fan": "See your fans, followers and subscribers, and what they spent",
    "read:creator": "See your lists of fans, and who is on them",
    "read:insights": "See your earnings, payouts and statistics",
    "read:media": "See your pictures and videos",
    "write:media": "Upload pictures and videos in your name",
    "read:post": "See your posts",
    "write:post": "Publish posts in your name",
    "read:tracking_links": "See your tracking links",
    "write:tracking_links": "Make and delete tracking links",
    "read:agency": "See your agency's creators, their chats and figures",
}


def in_words(scope: str) -> str:
    """What a scope allows; one that has no words yet is shown as it is."""
    return WORDS.get(scope, scope)
