"""Commands that are forked say and do what `python -m services.<name>` says and does."""

import asyncio
import os
import sys
from collections.abc import Iterator

import pytest

from deploy.local.children import ChildFailedError
from deploy.local.commands import run_streams
from deploy.local.operators import close_desks, operate, run_at_desk

ENV = {"PATH": os.environ["PATH"]}


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    close_desks()


@pytest.mark.parametrize("service", ["auth", "billing", "sessions"])
@pytest.mark.parametrize("words", ["--help", "no-such-command", "", "{first} --no-such-option", "{first} list"])
async def test_what_is_said_and_how_it_ends(service: str, words: str) -> None:
    first = {"auth": "org", "billing": "plan", "sessions": "model"}[service]
    arguments = words.format(first=first).split() or ["--help"]
    env = ENV | {"FANGATE_ENV": "dev"}  # whatever else is missing is named
    forked = await operate(service, arguments, env=env)
    started = await run_streams([sys.executable, "-m", f"services.{service}", *arguments], shown=service, env=env)
    assert forked == started
    assert forked[1] + forked[2]


async def test_each_command_has_its_own_environment() -> None:
    said = await asyncio.gather(
        *(operate("auth", ["org", "list"], env=ENV | {f"FANGATE_NO_SUCH_{number}": "x"}) for number in range(4))
    )
    for number, (status, _, err) in enumerate(said):
        assert status == 2
        assert [f"FANGATE_NO_SUCH_{each}" in err for each in range(4)] == [each == number for each in range(4)]


async def test_a_refusal_is_the_complaint_of_the_command() -> None:
    with pytest.raises(ChildFailedError, match=r"services\.auth org list failed: .*FANGATE_"):
        await run_at_desk("auth", "org", "list", env=ENV)


async def test_a_service_without_a_command_line_says_so() -> None:
    with pytest.raises(ChildFailedError, match=r"(?s)services\.edge has no command line:.*services\.edge\.cli"):
        await operate("edge", ["--help"], env=ENV)
