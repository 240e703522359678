"""Requests climb to the newest shape, answers descend from it, and what no change names is left as it came."""

import json
from typing import Any

import pytest

from libs.common.contracts.versions import API_VERSIONS
from services.edge.domain.changes import CHANGES, climbed, descended
from services.edge.domain.own import own_routes
from services.edge.domain.refusal import Refusal

OLD, NEW = API_VERSIONS[0], API_VERSIONS[-1]


def up(body: Any, version: str = OLD) -> Any:
    return json.loads(climbed("keys_rotate", version, json.dumps(body).encode()))


def test_every_change_belongs_to_a_known_version_and_to_routes_of_our_own() -> None:
    names = {route.name for route in own_routes()}
    for change in CHANGES:
        assert change.version in API_VERSIONS[1:]
        assert change.routes <= names, "bytes of a platform are never changed"
        assert change.text
    assert len({change.id for change in CHANGES}) == len(CHANGES)
    assert [change.version for change in CHANGES] == sorted(change.version for change in CHANGES)


def test_an_old_request_climbs() -> None:
    assert up({"overlap_hours": 1.5, "expires_at": None}) == {"overlap_seconds": 5_400, "expires_at": None}
    assert up({}) == {}
    assert up({"overlap_seconds": 7}) == {}, "the newer member is unknown to the older version, and ignored like any"
    assert up({"overlap_seconds": 7}, NEW) == {"overlap_seconds": 7}


@pytest.mark.parametrize("hours", [-1, 24.01, "1", None, True])
def test_what_a_change_finds_wrong_is_told_in_the_words_of_the_old_version(hours: Any) -> None:
    with pytest.raises(Refusal) as caught:
        up({"overlap_hours": hours})
    assert caught.value.code == "INVALID_REQUEST"
    assert caught.value.public.startswith("overlap_hours: expected ")


def test_what_a_version_took_away_is_refused_and_says_what_to_send() -> None:
    with pytest.raises(Refusal) as caught:
        up({"overlap_hours": 1}, NEW)
    assert caught.value.public == "overlap_hours: is overlap_seconds since version 2026-11-20"


def test_an_answer_descends() -> None:
    caller = {"key_id": "k", "limits": {"per_minute": 5, "per_day": 9, "key_per_minute": None}}
    raw = json.dumps(caller).encode()
    old = json.loads(descended("self_read", OLD, raw))
    assert old == {"key_id": "k", "limits": {"per_minute": 5, "per_day": 9, "key_per_minute": 0}}
    assert descended("self_read", NEW, raw) is raw


@pytest.mark.parametrize("body", [b"", b"[1]", b'"text"'])
def test_what_is_no_object_is_left_to_the_newest_shape(body: bytes) -> None:
    assert climbed("keys_rotate", OLD, body) == body


def test_other_routes_are_not_parsed() -> None:
    raw = b'{ "big":12345678901234567890123,"big" : 1e400 }'
    assert climbed("keys_create", OLD, raw) is raw
    assert descended("chats_list", OLD, raw) is raw
