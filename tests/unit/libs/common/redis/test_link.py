"""A shared connection, without a socket: one write per loop tick, answers in order, one end for all."""

import asyncio
from typing import Any

import hiredis
import pytest

from libs.common.redis.link import Address, Link, LinkLost


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.is_aborted = False

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def abort(self) -> None:
        self.is_aborted = True


class Ends:
    def __init__(self) -> None:
        self.kinds: list[str] = []

    def __call__(self, _link: Link, error: LinkLost) -> None:
        self.kinds.append(error.kind)


def a_link(*, timeout_s: float = 60.0) -> tuple[Link, Wire, Ends]:
    ends, wire = Ends(), Wire()
    link = Link(timeout_s=timeout_s, on_lost=ends)
    link.connection_made(wire)
    return link, wire, ends


async def asked(link: Link, *names: str) -> list["asyncio.Future[Any]"]:
    answers = [link.ask("GET", name) for name in names]
    await asyncio.sleep(0)  # it is written
    return answers


async def test_what_is_asked_in_one_tick_leaves_in_one_write_and_is_answered_in_order() -> None:
    link, wire, _ = a_link()
    tasks = await asked(link, "a", "b", "c")
    assert len(wire.writes) == 1
    assert wire.writes[0].count(b"GET") == 3
    link.data_received(b"$1\r\n1\r\n$1\r")
    link.data_received(b"\n2\r\n:3\r\n")
    assert await asyncio.gather(*tasks) == ["1", "2", 3]


async def test_the_answer_of_a_cancelled_question_is_nobodys() -> None:
    link, _, ends = a_link()
    first, second = await asked(link, "a", "b")
    first.cancel()
    link.data_received(b"+one\r\n+two\r\n")
    assert await second == "two"
    assert ends.kinds == []


async def test_a_refusal_is_told_to_who_asked_and_to_nobody_else() -> None:
    link, _, ends = a_link()
    first, second = await asked(link, "a", "b")
    link.data_received(b"-ERR no\r\n+two\r\n")
    with pytest.raises(hiredis.ReplyError, match="ERR no"):
        await first
    assert await second == "two"
    assert ends.kinds == []


async def test_a_push_message_is_no_answer() -> None:
    link, _, _ = a_link()
    (task,) = await asked(link, "a")
    link.data_received(b">2\r\n+invalidate\r\n+x\r\n+one\r\n")
    assert await task == "one"


@pytest.mark.parametrize("garbage", [b"?what\r\n", b"+one\r\n+nobody asked\r\n"])
async def test_who_does_not_speak_the_protocol_is_left(garbage: bytes) -> None:
    link, wire, ends = a_link()
    first, _second = await asked(link, "a", "b")
    link.data_received(b"+one\r\n")
    assert await first == "one"
    link.data_received(garbage if garbage[:1] == b"?" else b"+two\r\n+nobody asked\r\n")
    assert ends.kinds == ["lost"]
    assert wire.is_aborted
    with pytest.raises(LinkLost):
        await link.ask("GET", "c")
    await asyncio.gather(_second, return_exceptions=True)


async def test_when_the_oldest_question_has_no_answer_in_time_none_has() -> None:
    link, wire, ends = a_link(timeout_s=0.0)
    tasks = await asked(link, "a", "b")
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(outcome, LinkLost)
        assert outcome.kind == "stalled"
    assert ends.kinds == ["stalled"]
    assert wire.is_aborted


async def test_a_retired_connection_closes_when_all_is_answered() -> None:
    link, wire, ends = a_link()
    (task,) = await asked(link, "a")
    link.retire()
    assert ends.kinds == []
    link.data_received(b"+one\r\n")
    assert await task == "one"
    assert wire.is_aborted
    assert ends.kinds == ["closed"]


def test_addresses() -> None:
    assert Address.parse("redis://u:p@h:1/3") == Address(host="h", port=1, database=3, username="u", password="p")
    assert Address.parse("unix:///run/r.sock?db=2") == Address(path="/run/r.sock", database=2)
    assert Address.parse("redis://h") == Address(host="h")
    assert Address.parse("rediss://h/0").ssl is not None


def test_a_password_may_hold_anything_and_another_scheme_is_refused() -> None:
    assert Address.parse("redis://edge:a%2Fb%40c@h/0").password == "a/b@c"
    assert Address.parse("redis://:p@h").password == "p"
    with pytest.raises(ValueError, match="redis://"):
        Address.parse("http://h")
    with pytest.raises(ValueError, match="invalid literal"):
        Address.parse("redis://h/zero")
