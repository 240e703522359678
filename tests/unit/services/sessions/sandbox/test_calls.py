"""What the sandbox takes from a request: ids, lists and texts of the right kind, and nothing that only looks like it."""

import json
from typing import Any

import pytest

from services.sessions.sandbox.calls import Call, PlatformError


def a_call(**body: Any) -> Call:
    return Call(raw_body=json.dumps(body).encode())


def test_ids_come_as_numbers_or_digits() -> None:
    assert a_call(userIds=[1001, "1002", "00000000000000001003"]).numbers("userIds") == [1001, 1002, 1003]
    assert a_call().numbers("userIds") == []


@pytest.mark.parametrize(
    "bad", ["1001", {}, [True], [1.5], [-1], [""], ["١٢"], ["1" * 21], ["9" * 5_000], [None], [[1]]]
)
def test_what_is_no_id_is_refused(bad: Any) -> None:
    with pytest.raises(PlatformError, match="must be a list of ids"):
        a_call(userIds=bad).numbers("userIds")


def test_a_list_of_strings_holds_strings() -> None:
    assert a_call(mediaUuids=["a", "b"]).texts("mediaUuids") == ["a", "b"]
    for bad in ("a", [1], [None], {"a": 1}):
        with pytest.raises(PlatformError, match="must be a list of strings"):
            a_call(mediaUuids=bad).texts("mediaUuids")


@pytest.mark.parametrize("text", ["x", "١٢", "1" * 21, "0191f3a4-7a3b-7c1d-8e2f-0a1b2c3d4e5f"])
def test_a_path_that_names_nothing_is_a_404(text: str) -> None:
    with pytest.raises(PlatformError, match="404 not_found"):
        Call(params={"fan_id": text}).id("fan_id")
