"""What happens to credits when Redis does not answer, or answers that something else is in the place."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from libs.common.contracts.billing import LeaseExpired, LeaseOpened, OpenLease
from libs.common.errors import Unavailable
from services.billing.domain.bucket import BucketKind
from services.billing.domain.errors import CreditsInUse, NoSubscription, SubscriptionPastDue
from services.billing.domain.lease import LeaseRules, LeaseState
from services.billing.domain.ledger import ISSUANCE, Code, Transfer
from services.billing.domain.plan import Subscription
from services.billing.usecases.announce import Announce
from services.billing.usecases.append_transfers import AppendTransfers
from services.billing.usecases.expire_leases import ExpireLeases
from services.billing.usecases.open_slab import OpenSlab
from services.billing.usecases.periods import Periods
from services.billing.usecases.reverse import Reverse
from services.billing.usecases.turns import Turns
from tests.support.ledger_model import PLANS, MemoryCounters, MemoryLedger, ModelClock, run

ORG = uuid.UUID(int=1)


class Bench:
    """OpenSlab over memory, with 1,000 credits."""

    def __init__(self, *, status: str = "active") -> None:
        self.clock = ModelClock()
        self.ledger = MemoryLedger(self.clock)
        self.counters = MemoryCounters(self.clock)
        self.slept: list[float] = []
        parts: dict[str, Any] = {
            "ledger": self.ledger,
            "store": self.counters,
            "clock": self.clock,
            "rules": LeaseRules(),
        }
        periods = Periods(announce=Announce(clock=self.clock))
        self.open_slab = OpenSlab(**parts, periods=periods, turns=Turns(), sleep=self._sleep)
        self.expire_leases = ExpireLeases(**parts)
        announce = Announce(clock=self.clock)
        self.append = AppendTransfers(ledger=self.ledger, clock=self.clock, announce=announce, reverse=Reverse())
        self.ledger.state.subscriptions[ORG] = Subscription(
            org_id=ORG, plan=PLANS["free"], status=status, period_start=self.clock.now(),
            period_end=self.clock.now() + timedelta(days=30), anchor_day=1,
        )  # fmt: skip
        run(self._grant(1_000))

    async def _grant(self, amount: int) -> None:
        async with self.ledger.transaction() as tx:
            await tx.add_organization(ORG)
            bucket = await tx.add_bucket(ORG, BucketKind.TOPUP, uuid.UUID(int=9), self.clock.now(), None)
            row = Transfer(
                id=self.clock.uuid7(), code=Code.TOPUP, amount=amount, org_id=ORG, debit_account=ISSUANCE,
                credit_account=bucket,
            )  # fmt: skip
            await tx.append([row])

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def ask(self, cost: int = 1) -> LeaseOpened:
        return run(self.open_slab(OpenLease(org_id=ORG, holder="redis", ref=self.counters.epoch, cost=cost)))

    @property
    def outstanding(self) -> int:
        return sum(lease.outstanding for lease in self.ledger.state.leases.values())

    def pass_time(self, seconds: float) -> None:
        """Let the lease timer run, and its markers through an empty queue."""
        self.clock.skip(seconds)
        run(self.expire_leases())
        said, self.ledger.state.said = self.ledger.state.said, []
        run(self.append([message for message in said if isinstance(message, LeaseExpired)]))


def avail(bench: Bench) -> int:
    return sum(counter.avail for counter in bench.counters.counters.values())


@pytest.mark.parametrize("fault", ["lost", "unasked"])
def test_a_lost_install_strands_its_slab_for_at_most_90_seconds(fault: str) -> None:
    bench = Bench()
    bench.counters.fault = fault

    with pytest.raises(Unavailable):
        bench.ask()

    assert bench.outstanding == 50
    bench.pass_time(36)
    assert bench.outstanding == 50
    bench.pass_time(49)
    assert bench.outstanding == 0


def test_after_a_lost_install_the_next_call_gets_a_lease_whatever_is_in_its_place() -> None:
    bench = Bench()
    bench.counters.fault = "lost"  # the counter is there, but billing does not know
    with pytest.raises(Unavailable):
        bench.ask()
    assert avail(bench) == 50

    opened = bench.ask()

    assert avail(bench) == opened.granted == bench.outstanding


def test_a_growth_whose_counter_is_gone_comes_back_at_once() -> None:
    bench = Bench()
    first = bench.ask()
    bench.counters.flush()

    second = bench.ask()

    assert second.lease_id != first.lease_id
    assert bench.outstanding == first.granted + second.granted
    assert avail(bench) == second.granted


def test_no_lease_is_opened_behind_an_old_one_that_does_not_answer() -> None:
    bench = Bench()
    bench.ask()
    bench.clock.skip(25)
    bench.counters.fault = "unasked"

    with pytest.raises(Unavailable):
        bench.ask()

    assert [lease.state for lease in bench.ledger.state.leases.values()] == [LeaseState.CLOSING]


def test_credits_in_use_is_said_after_a_second_look() -> None:
    bench = Bench()
    bench.ask(cost=1_000)

    with pytest.raises(CreditsInUse):
        for _ in range(1_001):
            if bench.counters.reserve(1) is None:
                bench.ask()

    assert bench.slept == [0.2]


@pytest.mark.parametrize(("status", "error"), [("past_due", SubscriptionPastDue), ("cancelled", NoSubscription)])
def test_calls_need_an_active_subscription_even_with_credits(status: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        Bench(status=status).ask()


def test_an_edge_s_memory_gets_a_small_slab_in_the_reply() -> None:
    bench = Bench()

    opened = run(bench.open_slab(OpenLease(org_id=ORG, holder="edge", ref="edge:7", cost=2)))

    assert (opened.granted, opened.life_ms, avail(bench)) == (10, 12_000, 0)
    bench.pass_time(36)
    bench.pass_time(50)
    assert bench.outstanding == 0
