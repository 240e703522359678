"""The admission script against a model of it, call by call, under a clock that hypothesis moves.

The script reads the time in one line; here that line reads two more arguments instead. Everything else is the real thing
on the real server.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from libs.common.ids import uuid7
from libs.common.redis import keys
from libs.common.redis.scripts import load_script
from services.edge.domain.windows import DAY_MS, MINUTE_MS, Counters, Limits, Windows
from services.edge.store.admission import Code
from tests.support.servers import Servers

START_MS = 2_500_000_000_000  # far ahead: the real server must not end a lease of the run
REFILL_MS = 6_000  # of life are left when somebody asks for another lease
LIVES_MS = st.one_of(st.integers(1, 900_000), st.integers(REFILL_MS - 2, REFILL_MS + 2), st.integers(1, 2 * REFILL_MS))
LOCK_MS = 600_000  # longer than any run: only the machine ends a lock

_TEXT = load_script("services.edge.store", "admission.lua").text
CLOCKED = _TEXT.replace("redis.call('TIME')", "{ARGV[10], ARGV[11]}")
assert CLOCKED != _TEXT
RELEASE = load_script("services.edge.store", "release.lua").text
REFILLED = load_script("services.edge.store", "refilled.lua").text
AV = load_script("services.edge.store", "av.lua").text
INSTALL = load_script("services.billing.store", "install.lua").text


@dataclass
class Lease:
    """The model's lease."""

    id: UUID
    avail: int
    until_ms: int
    low: int
    rest: int


class Admissions(RuleBasedStateMachine):
    """One organization with one key."""

    client: redis.Redis
    text = CLOCKED

    def __init__(self) -> None:
        super().__init__()
        self.org, self.key, self.now_ms = uuid7(), uuid7(), START_MS
        info = self.client.info("replication")
        self.reign = str(info["master_replid"])[:8]
        self.names = [
            keys.admission(self.org),
            keys.key_window(self.org, self.key),
            keys.lease(self.org, "epoch"),
            keys.lease_negative(self.org),
            keys.lease_refill_lock(self.org),
        ]
        self.av: int | None = None
        self.minute, self.current, self.previous = 0, 0, 0
        self.day, self.today = 0, 0
        self.key_minute, self.key_count = 0, 0
        self.lease: Lease | None = None
        self.negative = ""
        self.lock = ""
        self.reserved: list[tuple[UUID, int]] = []
        self.calls = 0

    # -- what happens around the calls

    @initialize(offset_ms=st.integers(0, DAY_MS))
    def begin(self, offset_ms: int) -> None:
        self.now_ms += offset_ms

    @rule(ms=st.one_of(st.integers(1, 500), st.integers(1, 200_000), st.sampled_from([MINUTE_MS, DAY_MS])))
    def time_passes(self, ms: int) -> None:
        self.now_ms += ms

    @rule()
    def the_minute_is_about_to_turn(self) -> None:
        self.now_ms += MINUTE_MS - self.now_ms % MINUTE_MS - 1

    @rule(av=st.integers(1, 4))
    def auth_raises_the_version(self, av: int) -> None:
        self.av = max(av, self.av or 0)
        assert self.run(AV, self.names[:1], av) == self.av

    @rule(amount=st.integers(1, 6), life_ms=LIVES_MS, rest=st.integers(0, 5), low=st.integers(0, 4))
    def billing_installs(self, amount: int, life_ms: int, rest: int, low: int) -> None:
        is_new = self.lease is None or self.now_ms >= self.lease.until_ms
        if is_new:
            self.client.delete(self.names[2])
            self.lease = Lease(uuid7(), 0, self.now_ms + life_ms, low, rest)
        assert self.lease is not None
        self.lease.avail += amount
        self.lease.low, self.lease.rest = low, rest
        answer = self.run(
            INSTALL,
            self.names[2:3],
            str(self.lease.id),
            amount,
            self.lease.until_ms,
            low,
            rest,
            int(is_new),
            self.reign,
        )
        assert answer == self.lease.avail

    @rule(verdict=st.sampled_from(["", "E0", "E1", "B1", "B2"]))
    def the_winner_tells(self, verdict: str) -> None:
        told = self.run(REFILLED, self.names[3:5], self.lock or "nobody", verdict, LOCK_MS)
        assert told == int(bool(self.lock))
        if self.lock:
            self.lock, self.negative = "", verdict

    @rule()
    def a_call_fails(self) -> None:
        if self.reserved:
            lease_id, cost = self.reserved.pop()
            is_held = self.lease is not None and self.lease.id == lease_id
            assert self.run(RELEASE, self.names[2:3], str(lease_id), cost) == int(is_held)
            if is_held and self.lease is not None:
                self.lease.avail += cost

    # -- the call itself

    @rule(
        cost=st.integers(0, 3),
        per_minute=st.one_of(st.just(1_000), st.integers(0, 8)),
        per_day=st.one_of(st.just(1_000), st.integers(0, 20)),
        per_key=st.sampled_from([0, 1, 4]),
        version=st.integers(1, 4),
        counts=st.sampled_from([True, True, True, False]),
    )
    def a_call(self, cost: int, per_minute: int, per_day: int, per_key: int, version: int, counts: bool) -> None:
        self.calls += 1
        version = version if self.calls % 8 == 0 else self.av or version
        token, limits = f"t{self.calls}", Limits(per_minute, per_day, per_key)
        answer = self.run(
            self.text, self.names, version, per_minute, per_day, per_key, cost, int(counts), token, LOCK_MS, self.reign,
            self.now_ms // 1_000, self.now_ms % 1_000 * 1_000,
        )  # fmt: skip
        assert answer == self.expected(cost, limits, version, token, counts=counts)
        if answer[0] == Code.OK and cost:
            assert self.lease is not None
            self.reserved.append((self.lease.id, cost))

    def expected(self, cost: int, limits: Limits, version: int, token: str, *, counts: bool) -> list[Any]:
        if self.av is None:
            return [Code.COLD]
        if version != self.av:
            return [Code.STALE, self.av]
        counters = self.counters(limits)
        code = Code.OK
        if counts:
            code = self.window_code(limits, counters)
        avail, rest, lease_id, won = 0, 0, "", 0
        if code == Code.OK and cost:
            code, avail, rest, lease_id, refill = self.spend(cost)
            if refill and not self.lock:
                self.lock, won = token, 1
        elif code == Code.OK:
            avail, rest, lease_id = self.shown()
        minute, previous, day, key = counters.minute, counters.previous, counters.day, counters.key
        if code == Code.OK and counts:
            minute, day = minute + 1, day + 1
            self.minute, self.current, self.previous = self.now_ms // MINUTE_MS, minute, previous
            self.day, self.today = self.now_ms // DAY_MS, day
            if limits.key:
                key += 1
                self.key_minute, self.key_count = self.now_ms // MINUTE_MS, key
        return [code, self.av, self.now_ms, minute, previous, day, key, avail, rest, lease_id, won]

    def counters(self, limits: Limits) -> Counters:
        """What stands now: last minute's count becomes the previous one, an older one counts no more."""
        minute, current, previous = self.now_ms // MINUTE_MS, 0, 0
        if self.minute == minute:
            current, previous = self.current, self.previous
        elif self.minute == minute - 1:
            previous = self.current
        today = self.today if self.day == self.now_ms // DAY_MS else 0
        key = self.key_count if limits.key and self.key_minute == minute else 0
        return Counters(self.now_ms, current, previous, today, key)

    def window_code(self, limits: Limits, counters: Counters) -> Code:
        refusing = Windows(limits, counters).refusing()
        if refusing is None:
            return Code.OK
        # The script answers in the order of the windows; how long to wait is the longest of those that refuse.
        for code, alone in (
            (Code.MINUTE, Limits(limits.minute, 10**9, 0)),
            (Code.DAY, Limits(10**9, limits.day, 0)),
            (Code.KEY, Limits(10**9, 10**9, limits.key)),
        ):
            if Windows(alone, counters).refusing() is not None:
                return code
        raise AssertionError

    def shown(self) -> tuple[int, int, str]:
        """What a live lease holds, what the balance has beyond it, and its id."""
        lease = self.lease
        if lease is None or self.now_ms >= lease.until_ms:
            return 0, 0, ""
        return lease.avail, lease.rest, str(lease.id)

    def spend(self, cost: int) -> tuple[Code, int, int, str, bool]:
        lease = self.lease
        live = lease is not None and self.now_ms < lease.until_ms
        avail, rest, lease_id = self.shown()
        if lease is not None and live and lease.avail >= cost:
            lease.avail -= cost
            refill = lease.avail < lease.low or lease.until_ms - self.now_ms < REFILL_MS
            return Code.OK, lease.avail, rest, lease_id, refill
        kind, number = self.negative[:1], int(self.negative[1:] or 0)
        if kind == "E" and number < cost:
            return Code.NO_CREDITS, avail, number, lease_id, False
        if kind == "B" and cost >= number:
            return Code.IN_USE, avail, rest, lease_id, False
        return Code.NEED_LEASE, avail, rest, lease_id, True

    def run(self, text: str, names: list[str], *arguments: str | int) -> Any:
        return self.client.eval(text, len(names), *names, *arguments)


def check(servers: Servers, text: str, **how: Any) -> None:
    with redis.Redis.from_url(servers.redis_url, decode_responses=True) as client:
        Admissions.client, Admissions.text = client, text
        chosen: dict[str, Any] = {
            "max_examples": 120, "stateful_step_count": 40, "deadline": None, "database": None,
            "suppress_health_check": list(HealthCheck),
        }  # fmt: skip
        run_state_machine_as_test(Admissions, settings=settings(**(chosen | how)))


def test_the_script_does_what_the_model_says(servers: Servers) -> None:
    check(servers, CLOCKED)


@pytest.mark.parametrize(
    ("line", "mutant"),
    [
        ("+ mc + 1 > tonumber(ARGV[2])", "+ mc > tonumber(ARGV[2])"),
        ("live and avail >= cost", "live and avail + 1 >= cost"),
        ("- ms < 6000", "- ms < 3000"),
    ],
)
def test_the_model_finds_mutants(servers: Servers, line: str, mutant: str) -> None:
    assert line in CLOCKED
    with pytest.raises(BaseException) as caught:
        check(servers, CLOCKED.replace(line, mutant), phases=(Phase.generate,), max_examples=1_000, derandomize=True)
    assert isinstance(caught.value, AssertionError) or caught.group_contains(AssertionError)
