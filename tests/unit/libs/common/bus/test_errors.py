"""What counts as a lost connection."""

import aiormq
import pytest

from libs.common.bus.errors import is_lost


@pytest.mark.parametrize(
    "error",
    [Exception(), RuntimeError("closed"), StopAsyncIteration(), ConnectionResetError(), TimeoutError(),
     aiormq.exceptions.ConnectionClosed(320, "")],
    ids=repr,
)  # fmt: skip
def test_what_aiormq_raises_in_mid_step_is_a_lost_connection(error: Exception) -> None:
    assert is_lost(error)


@pytest.mark.parametrize("error", [ValueError(), RecursionError(), KeyError("x")], ids=repr)
def test_a_defect_of_ours_is_not(error: Exception) -> None:
    assert not is_lost(error)
