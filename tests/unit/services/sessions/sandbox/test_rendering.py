"""JSON with the oddities of real platforms stays JSON."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sessions.sandbox.rendering import STYLES, Number, Pairs, Style, render, style_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.parametrize("style", STYLES)
@given(value=VALUES)
def test_every_style_says_the_same(style: Style, value: Any) -> None:
    assert json.loads(render(value, style)) == value


def test_numbers_and_double_members_are_written_as_they_are() -> None:
    value = Pairs((("a", Number("1e400")), ("a", [Number("-0"), Number("12.50")])))
    assert render(value, STYLES[0]) == b'{"a":1e400,"a":[-0,12.50]}'
    assert render(value, STYLES[2]) == b'{ "a" : 1e400 ,"a" : [ -0 ,12.50 ] }'


def test_a_path_always_speaks_the_same_way_and_paths_differ() -> None:
    paths = [f"/chats/{n}" for n in range(50)]
    assert [style_of(path) for path in paths] == [style_of(path) for path in paths]
    assert {id(style_of(path)) for path in paths} == {id(style) for style in STYLES}
