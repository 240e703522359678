"""The money protocol as a state machine: the real use cases over ports in memory, with every fault in between.

Whatever the order: no bucket and no lease is overdrawn, nothing is waived, a 2xx has exactly one debit and anything else none,
402 is said only when the balance is too small, and at rest nothing stays set aside. The twins at the end each break one rule of
the protocol; the machine must find them.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from libs.common.contracts.billing import CloseLease, LeaseExpired, OpenLease
from libs.common.contracts.edge import Usage, UsageRecorded, UsageVoided
from libs.common.contracts.envelope import Message
from libs.common.contracts.takedowns import BatchDebited
from libs.common.errors import FangateError
from services.billing.domain.bucket import BucketKind, balance_at
from services.billing.domain.errors import InsufficientCredits
from services.billing.domain.lease import Holder, LeaseRules, LeaseState
from services.billing.domain.ledger import Code, Transfer
from services.billing.domain.plan import Subscription
from services.billing.usecases.announce import Announce
from services.billing.usecases.append_transfers import AppendTransfers
from services.billing.usecases.close_batch import CloseBatch
from services.billing.usecases.expire_leases import ExpireLeases
from services.billing.usecases.open_batch import OpenBatch
from services.billing.usecases.open_slab import OpenSlab
from services.billing.usecases.periods import Periods
from services.billing.usecases.reverse import Reverse
from services.billing.usecases.turns import Turns
from tests.support.ledger_model import PLANS, Counter, MemoryCounters, MemoryLedger, ModelClock, run

EXAMPLES = 250
STEPS = 50
FENCE_S = 40.0  # of the edge: no 2xx later than this after admission
ORG = uuid.UUID(int=7)
PICK = st.integers(0, 1_000)  # which of several: taken modulo their number
PICKS = st.lists(st.tuples(PICK, st.booleans()), min_size=1, max_size=20)
COSTS = st.sampled_from([1, 2])
FAULTS = st.sampled_from(["", "", "", "lost", "unasked"])


@dataclass
class Call:
    """A call between its admission and its answer."""

    id: uuid.UUID
    lease_id: uuid.UUID
    cost: int
    admitted_at: datetime


async def _no_sleep(_: float) -> None:
    return None


class Protocol(RuleBasedStateMachine):
    """One organization, one Redis, one ledger queue, edges and takedowns around them."""

    lease_rules = LeaseRules()
    counters_of: Callable[[ModelClock], MemoryCounters] = MemoryCounters

    def __init__(self) -> None:
        super().__init__()
        self.clock = ModelClock()
        self.ledger = MemoryLedger(self.clock)
        self.counters = type(self).counters_of(self.clock)
        turns = Turns()
        parts: dict[str, Any] = {
            "ledger": self.ledger,
            "store": self.counters,
            "clock": self.clock,
            "rules": self.lease_rules,
        }
        periods = Periods(announce=Announce(clock=self.clock))
        self.open_slab = OpenSlab(**parts, periods=periods, turns=turns, sleep=_no_sleep)
        self.open_batch = OpenBatch(**parts, periods=periods, turns=turns, sleep=_no_sleep)
        self.expire_leases = ExpireLeases(**parts)
        self.close_batch = CloseBatch(ledger=self.ledger, clock=self.clock)
        self.append = AppendTransfers(
            ledger=self.ledger, clock=self.clock, announce=Announce(clock=self.clock), reverse=Reverse()
        )
        self.calls: list[Call] = []
        self.queue: list[Message] = []  # the ledger queue, in order
        self.late: list[Message] = []  # voids an edge still holds, debits in takedowns' outbox
        self.batches: dict[uuid.UUID, int] = {}
        self.paid: dict[uuid.UUID, int] = {}  # what clients saw as 2xx
        self.maybe: dict[uuid.UUID, int] = {}  # 503 after an unknown confirm; a void is on its way
        self.batched: dict[uuid.UUID, int] = {}
        self.granted = self.waived = 0
        self.dump: dict[str, Counter] = {}

    # ── credits ──

    @initialize(plan=st.integers(0, 120), minutes=st.integers(1, 10), topup=st.integers(0, 60))
    def begin(self, plan: int, minutes: int, topup: int) -> None:
        end = self.clock.now() + timedelta(minutes=minutes)
        self.ledger.state.subscriptions[ORG] = Subscription(
            org_id=ORG, plan=PLANS["free"], status="active", period_start=self.clock.now(), period_end=end, anchor_day=1
        )
        run(self._grant(plan, BucketKind.PLAN, end))
        run(self._grant(topup, BucketKind.TOPUP, None))

    async def _grant(self, amount: int, kind: BucketKind, ends_at: datetime | None) -> None:
        async with self.ledger.transaction() as tx:
            await tx.add_organization(ORG)
            bucket = await tx.add_bucket(ORG, kind, self.clock.uuid7(), self.clock.now(), ends_at)
            if amount:
                row = Transfer(
                    id=self.clock.uuid7(), code=Code.PROMO, amount=amount, org_id=ORG, debit_account=100,
                    credit_account=bucket,
                )  # fmt: skip
                await tx.append([row])
                self.granted += amount

    @rule(amount=st.integers(1, 80), minutes=st.none() | st.integers(1, 5))
    def credits_come(self, amount: int, minutes: int | None) -> None:
        ends_at = None if minutes is None else self.clock.now() + timedelta(minutes=minutes)
        run(self._grant(amount, BucketKind.PLAN if minutes else BucketKind.TOPUP, ends_at))

    # ── proxy calls ──

    @rule(cost=COSTS, number=st.integers(1, 20), fault=FAULTS)
    def calls_begin(self, cost: int, number: int, fault: str) -> None:
        self.counters.fault = fault  # of the first step that billing takes in Redis meanwhile
        for _ in range(number):
            lease_id = self.counters.reserve(cost)
            if lease_id is None:
                self._refill(cost)
                lease_id = self.counters.reserve(cost)
            if lease_id is None:
                break
            self.calls.append(Call(self.clock.uuid7(), lease_id, cost, self.clock.now()))
        self.counters.fault = ""

    @rule(cost=COSTS, fault=FAULTS)
    def low_water(self, cost: int, fault: str) -> None:
        self.counters.fault = fault
        self._refill(cost)
        self.counters.fault = ""

    def _refill(self, cost: int) -> None:
        try:
            run(self.open_slab(OpenLease(org_id=ORG, holder="redis", ref=self.counters.epoch, cost=cost)))
        except InsufficientCredits as exc:
            self._check_402(exc, cost)
        except FangateError:
            pass

    @precondition(lambda self: self.calls)
    @rule(picks=PICKS, outcome=st.sampled_from(["2xx", "2xx", "2xx", "failed", "dead", "unknown"]))
    def calls_end(self, picks: list[tuple[int, bool]], outcome: str) -> None:
        records: list[Usage] = []
        for pick, chance in picks[: len(self.calls)]:
            call = self.calls.pop(pick % len(self.calls))
            usage = Usage(
                id=call.id, org_id=ORG, lease_id=call.lease_id, cost=call.cost, key_id=ORG, model_id=ORG, route="r"
            )
            is_in_time = self.clock.now() - call.admitted_at <= timedelta(seconds=FENCE_S)
            match outcome:
                case "2xx" if is_in_time:
                    records.append(usage)
                    self.paid[call.id] = call.cost
                case "unknown" if is_in_time:  # the bus may have it; the client got 503, and a void will follow
                    if chance:
                        records.append(usage)
                    self.maybe[call.id] = call.cost
                    self.late.append(UsageVoided(org_id=ORG, ids=(call.id,)))
                case "failed":
                    if chance:  # or the release is lost
                        self.counters.release(call.lease_id, call.cost)
                case _:
                    pass  # an edge died, or the fence passed: nothing was said to anybody
        if records:
            self.queue.append(UsageRecorded(records=tuple(records)))

    # ── takedown batches ──

    @rule(amount=st.integers(1, 60), fault=FAULTS)
    def batch_opens(self, amount: int, fault: str) -> None:
        self.counters.fault = fault
        id_ = self.clock.uuid7()
        try:
            run(self.open_batch(OpenLease(org_id=ORG, holder="batch", ref="batch", amount=amount, lease_id=id_)))
        except InsufficientCredits as exc:
            self._check_402(exc, amount)
        except FangateError:
            pass
        else:
            self.batches[id_] = amount
        self.counters.fault = ""

    @precondition(lambda self: self.batches)
    @rule(pick=PICK, used=PICK, is_closed=st.booleans())
    def batch_ends(self, pick: int, used: int, is_closed: bool) -> None:
        id_ = list(self.batches)[pick % len(self.batches)]
        amount = self.batches.pop(id_)
        if is_closed:
            run(self.close_batch(CloseLease(org_id=ORG, lease_id=id_)))
        else:
            self.batched[id_] = used % (amount + 1)
            self.late.append(BatchDebited(org_id=ORG, batch_id=id_, amount=self.batched[id_]))

    # ── the queue ──

    @precondition(lambda self: self.late)
    @rule(pick=PICK)
    def what_was_held_back_is_sent(self, pick: int) -> None:
        self.queue.append(self.late.pop(pick % len(self.late)))

    @precondition(lambda self: self.queue)
    @rule(number=st.integers(1, 30), is_acked=st.booleans())
    def consumer_runs(self, number: int, is_acked: bool) -> None:
        posted = run(self.append(self.queue[:number]))
        self.waived += sum(amount for _, amount in posted.waived)
        if is_acked:  # else it was killed before the ack: the same messages come again
            del self.queue[:number]

    # ── time, Redis ──

    @rule(seconds=st.sampled_from([0.5, 3, 9, 15, 25, 40, 90]), fault=FAULTS)
    def time_passes(self, seconds: float, fault: str) -> None:
        self.clock.skip(seconds)
        self.counters.fault = fault
        self._expire()
        self.counters.fault = ""

    def _expire(self) -> None:
        run(self.expire_leases())
        self._relay()

    def _relay(self) -> None:
        said, self.ledger.state.said = self.ledger.state.said, []
        self.queue += [message for message in said if isinstance(message, LeaseExpired)]

    @rule()
    def redis_is_flushed(self) -> None:
        self.counters.flush()

    @rule()
    def redis_is_dumped(self) -> None:
        self.dump = self.counters.dump()

    @rule(is_stale=st.booleans())
    def redis_restarts(self, is_stale: bool) -> None:
        self.counters.restart(self.dump if is_stale else {})

    # ── what must hold ──

    def _check_402(self, refusal: InsufficientCredits, required: int) -> None:
        assert refusal.fields == {"required": required, "balance": self._balance()}
        assert required > self._balance()

    def _balance(self) -> int:
        return balance_at(self.ledger.state.buckets.values(), self.clock.now())

    @invariant()
    def nothing_is_waived(self) -> None:
        assert self.waived == 0

    @invariant()
    def counters_hold_no_more_than_is_set_aside(self) -> None:
        counter = self.counters.counters.get(self.counters.key(self.counters.epoch))
        if counter is not None and self.clock.now() < counter.until:
            lease = self.ledger.state.leases[counter.id]
            in_flight = sum(call.cost for call in self.calls if call.lease_id == lease.id)
            assert counter.avail + in_flight <= lease.outstanding or lease.state is LeaseState.FINAL

    @invariant()
    def what_is_set_aside_can_be_paid(self) -> None:
        unclosed = sum(bucket.balance for bucket in self.ledger.state.buckets.values())
        assert sum(lease.outstanding for lease in self.ledger.state.leases.values()) <= unclosed

    def teardown(self) -> None:
        """Come to rest: everything held back is sent, everything queued is posted, all leases end."""
        for id_ in self.batches:
            run(self.close_batch(CloseLease(org_id=ORG, lease_id=id_)))
        self.queue += self.late
        for _ in range(4):
            self._drain()
            self.clock.skip(100)
            self._expire()
        self._drain()
        assert self.waived == 0
        assert not [lease for lease in self.ledger.state.leases.values() if lease.state is not LeaseState.FINAL]
        left = sum(bucket.balance for bucket in self.ledger.state.buckets.values())
        assert left == self.granted - sum(self.paid.values()) - sum(self.batched.values())
        for id_, cost in self.paid.items():
            assert sum(leg.amount for leg in self.ledger.state.transfers[id_]) == cost
        assert not self.ledger.state.parked

    def _drain(self) -> None:
        while self.queue:
            posted = run(self.append(self.queue[:20]))
            self.waived += sum(amount for _, amount in posted.waived)
            del self.queue[:20]
            self._relay()


HUNT = settings(
    max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, suppress_health_check=list(HealthCheck)
)
TestProtocol = Protocol.TestCase
TestProtocol.settings = HUNT


# ── Twins: each breaks one rule, and must be found ──


class FinalByClock(Protocol):
    """Leases become final when their time is over, whatever still waits in the queue."""

    def _relay(self) -> None:
        super()._relay()
        markers = [message for message in self.queue if isinstance(message, LeaseExpired)]
        self.queue = [message for message in self.queue if not isinstance(message, LeaseExpired)]
        if markers:
            run(self.append(markers))


class _WithoutEpoch(MemoryCounters):
    def key(self, epoch: str) -> str:
        del epoch
        return "lease"


class KeyWithoutEpoch(Protocol):
    """The counter's key does not say whose memory it is: an older copy comes back to life."""

    counters_of = _WithoutEpoch


class ShortFence(Protocol):
    """Closing waits less than an edge may take to have its usage confirmed."""

    lease_rules = LeaseRules(life_s=11.0, fence_s=0.5)  # short lives, so that calls outlive their lease often


class SweeperReturnsCredits(Protocol):
    """A lease whose counter gave no answer gets everything back at once that was not posted yet."""

    def _expire(self) -> None:
        super()._expire()
        for lease in list(self.ledger.state.leases.values()):
            if lease.state is LeaseState.CLOSING and lease.holder is Holder.COUNTER:
                run(self.append([LeaseExpired(org_id=ORG, lease_id=lease.id)]))


@pytest.mark.parametrize("twin", [FinalByClock, KeyWithoutEpoch, ShortFence, SweeperReturnsCredits])
def test_a_broken_protocol_is_found(twin: type[Protocol]) -> None:
    with pytest.raises((AssertionError, KeyError)):
        run_state_machine_as_test(
            twin,
            settings=settings(
                HUNT,
                max_examples=1_000,
                derandomize=True,
                phases=[Phase.generate],
                print_blob=False,
                report_multiple_bugs=False,
            ),
        )
