"""Frames: what is packed is unpacked, and nothing else is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.bus.frames import CALLS_MAX, GROUP_BYTES_MAX, BadFrames, group, pack, unpack

PAIRS = st.lists(st.tuples(st.binary(max_size=50), st.binary(max_size=50)), max_size=40)


@given(PAIRS)
def test_what_is_packed_is_unpacked(frames: list[tuple[bytes, bytes]]) -> None:
    assert unpack(pack(frames)) == frames


@given(PAIRS.filter(bool), st.data())
def test_bytes_that_end_early_are_refused_unless_they_end_between_frames(
    frames: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    whole = pack(frames)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        found = unpack(cut)
    except BadFrames:
        return
    assert found == frames[: len(found)]
    assert pack(found) == cut


@pytest.mark.parametrize(
    "body", [b"\x00", b"\x00\x00\x00", b"\xff\xff\xff\xff", b"\x00\x00\x00\x01a", b"\x00\x00\x00\x02ab\x00"]
)
def test_garbage_is_refused(body: bytes) -> None:
    with pytest.raises(BadFrames):
        unpack(body)


@given(st.lists(st.integers(0, GROUP_BYTES_MAX * 2), max_size=80))
def test_groups_keep_order_and_bounds(sizes: list[int]) -> None:
    frames: Any = [(b"%d" % number, _Sized(size)) for number, size in enumerate(sizes)]
    groups = list(group(frames))
    assert [frame for one in groups for frame in one] == frames
    for one in groups:
        assert 0 < len(one) <= CALLS_MAX
        assert len(one) == 1 or sum(len(blob) for _, blob in one) <= GROUP_BYTES_MAX


class _Sized:
    """A blob of any size that costs no memory."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size
