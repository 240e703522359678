"""A subscription from its start to its end, over the ledger in memory and a clock that stands where it is put."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from libs.common.contracts.auth import Actor
from libs.common.contracts.billing import CreditsLow, SubscriptionChanged, SubscriptionManaged
from services.billing.domain.bucket import BucketKind, balance_at
from services.billing.domain.errors import (
    AlreadySubscribed,
    NoSubscription,
    PlanNotOpen,
    SubscriptionPastDue,
    UnknownPlan,
)
from services.billing.domain.ledger import CALLS, PURCHASES, Code, Transfer
from services.billing.domain.plan import Subscription
from services.billing.domain.ports import LedgerTx
from services.billing.usecases.announce import Announce
from services.billing.usecases.cancel_subscription import CancelSubscription
from services.billing.usecases.change_plan import ChangePlan
from services.billing.usecases.end_subscription import EndSubscription
from services.billing.usecases.mark_past_due import MarkPastDue
from services.billing.usecases.periods import Periods
from services.billing.usecases.reactivate_subscription import ReactivateSubscription
from services.billing.usecases.renew_periods import Renewed, RenewPeriods
from services.billing.usecases.start_subscription import StartSubscription
from tests.support.ledger_model import MemoryLedger, ModelClock, run

ORG = uuid.UUID(int=1)
START = datetime(2027, 1, 31, 9, 30, tzinfo=UTC)


def day(month: int, day_: int, *, year: int = 2027) -> datetime:
    return datetime(year, month, day_, 9, 30, tzinfo=UTC)


class Life:
    """The use cases around one organization."""

    def __init__(self, *, grace: timedelta = timedelta(0)) -> None:
        self.clock = ModelClock(START)
        self.ledger = MemoryLedger(self.clock)
        announce = Announce(clock=self.clock)
        self.periods = periods = Periods(announce=announce, grace=grace)
        parts: dict[str, Any] = {"ledger": self.ledger, "clock": self.clock, "periods": periods}
        self._start = StartSubscription(**parts)
        self._change = ChangePlan(**parts)
        self._cancel = CancelSubscription(**parts)
        self._past_due = MarkPastDue(**parts)
        self._reactivate = ReactivateSubscription(**parts)
        self._end = EndSubscription(**parts, store=None, rules=None)  # type: ignore[arg-type]  # no lease is open
        self._renew = RenewPeriods(**parts, announce=announce)

    def start(self, plan: str = "basic") -> Subscription:
        return run(self._start(ORG, plan))

    def change(self, plan: str, *, by: Actor | None = None) -> Subscription:
        return run(self._change(ORG, plan, by=by))

    def cancel(self, *, by: Actor | None = None) -> Subscription:
        return run(self._cancel(ORG, by=by))

    def past_due(self) -> Subscription:
        return run(self._past_due(ORG))

    def reactivate(self) -> Subscription:
        return run(self._reactivate(ORG))

    def end(self) -> Subscription:
        return run(self._end(ORG))

    def tick(self, at: datetime | None = None) -> Renewed:
        self.clock.at = at or self.clock.at
        return run(self._renew())

    @property
    def now(self) -> Subscription:
        return self.ledger.state.subscriptions[ORG]

    @property
    def balance(self) -> int:
        return balance_at(self.ledger.state.buckets.values(), self.clock.at)

    @property
    def grants(self) -> list[int]:
        return [one.amount for legs in self.ledger.state.transfers.values() for one in legs if one.code == Code.GRANT]

    def said(self) -> list[tuple[str, str, int]]:
        """Plan, status and version of each word on the subscription so far."""
        words = [one for one in self.ledger.state.said if isinstance(one, SubscriptionChanged)]
        return [(word.plan, word.status, word.version) for word in words]

    def move(self, code: Code, amount: int, debit: int, credit: int) -> None:
        async def move() -> None:
            async with self.ledger.transaction() as tx:
                row = Transfer(
                    id=self.clock.uuid7(), code=code, amount=amount, org_id=ORG, debit_account=debit,
                    credit_account=credit, key_id=ORG, route="r",
                )  # fmt: skip
                await tx.append([row])

        run(move())

    def buy(self, amount: int) -> None:
        async def bucket() -> int:
            async with self.ledger.transaction() as tx:
                return await tx.add_bucket(ORG, BucketKind.TOPUP, self.clock.uuid7(), self.clock.now(), None)

        self.move(Code.TOPUP, amount, PURCHASES, run(bucket()))

    def spend(self, amount: int) -> None:
        buckets = self.ledger.state.buckets.values()
        payer = next(one for one in buckets if one.is_active(self.clock.at) and one.balance >= amount)
        self.move(Code.CALL, amount, payer.id, CALLS)


@pytest.fixture
def life() -> Life:
    return Life()


def test_R171_a_period_is_renewed_once_however_often_the_timer_runs(life: Life) -> None:
    life.start()
    assert life.tick(day(2, 28) - timedelta(milliseconds=1)) == Renewed()

    life.tick(day(2, 28))
    life.tick()

    assert (life.grants, life.balance) == ([1_000, 1_000], 1_000)
    assert (life.now.period_start, life.now.period_end, life.now.anchor_day) == (day(2, 28), day(3, 31), 31)


def test_R023_what_was_not_used_expires_and_what_was_bought_stays(life: Life) -> None:
    life.start()
    life.buy(70)
    life.spend(400)

    done = life.tick(day(2, 28))

    assert done == Renewed(subscriptions=1, buckets=1, credits=600)
    assert life.balance == 1_070
    assert life.tick() == Renewed()


def test_missed_periods_are_made_up_for_one_by_one(life: Life) -> None:
    life.start()
    life.change("free")

    done = life.tick(day(5, 30))

    assert life.grants == [1_000, 100, 100, 100]
    assert (life.now.plan.code, life.now.period_start, life.now.period_end) == ("free", day(4, 30), day(5, 31))
    assert (done.subscriptions, done.buckets, life.balance) == (1, 3, 100)
    assert [plan for plan, _, _ in life.said()] == ["basic", "basic", "free"]


def test_a_leap_day_is_an_anchor_like_any_other() -> None:
    life = Life()
    life.clock.at = day(2, 29, year=2028)
    life.start()
    ends = []
    for _ in range(48):
        ends.append(life.now.period_end)
        life.tick(life.now.period_end)

    assert ends[11] == day(2, 28, year=2029)
    assert ends[12] == day(3, 29, year=2029)
    assert ends[47] == day(2, 29, year=2032)
    assert len(life.grants) == 49


def test_an_upgrade_is_at_once_and_asked_twice_grants_once(life: Life) -> None:
    life.clock.at = datetime(2027, 4, 1, tzinfo=UTC)
    life.start()
    life.clock.at = datetime(2027, 4, 16, tzinfo=UTC)

    for _ in range(2):
        assert life.change("pro").plan.code == "pro"

    assert (life.grants, life.balance) == ([1_000, 2_000], 3_000)
    life.tick(datetime(2027, 5, 1, tzinfo=UTC))
    assert (life.grants[2:], life.balance) == ([5_000], 5_000)


def test_a_downgrade_waits_for_the_period_and_can_be_taken_back(life: Life) -> None:
    life.start("pro")
    assert life.change("free").next_plan == "free"
    assert life.change("pro").next_plan is None
    life.change("basic")

    life.tick(day(2, 28))

    assert (life.now.plan.code, life.now.next_plan, life.balance) == ("basic", None, 1_000)


def test_a_cancelled_plan_runs_to_the_end_of_its_period(life: Life) -> None:
    life.start()
    life.cancel()
    assert (life.cancel().status, life.balance) == ("active", 1_000)

    life.tick(day(2, 28))

    assert (life.now.status, life.balance, life.grants) == ("cancelled", 0, [1_000])
    assert life.said()[-1][:2] == ("basic", "cancelled")
    with pytest.raises(NoSubscription):
        life.change("pro")
    with pytest.raises(NoSubscription):
        life.past_due()


def test_a_cancellation_can_be_taken_back(life: Life) -> None:
    life.start()
    life.cancel()
    life.reactivate()

    life.tick(day(2, 28))

    assert (life.now.status, life.balance) == ("active", 1_000)


def test_R052_a_debt_is_past_due_at_once_and_renews_nothing(life: Life) -> None:
    life.start()
    life.past_due()
    assert life.said()[-1][1] == "past_due"
    with pytest.raises(SubscriptionPastDue):
        life.change("pro")

    life.tick(day(4, 30))

    assert (life.now.status, life.grants, life.balance) == ("past_due", [1_000], 0)


def test_a_debt_within_its_grace_is_served_and_said_when_the_grace_is_over() -> None:
    life = Life(grace=timedelta(days=3))
    life.start()
    life.past_due()
    assert life.said()[-1][1] == "active"
    life.tick(START + timedelta(days=3) - timedelta(milliseconds=1))
    assert life.said()[-1][1] == "active"

    life.tick(START + timedelta(days=3))
    words = len(life.said())
    life.tick()

    assert life.said()[-1][1] == "past_due"
    assert len(life.said()) == words


def test_reactivation_keeps_the_anchor_and_grants_the_present_period_once(life: Life) -> None:
    life.start()
    life.past_due()
    life.clock.at = day(4, 10)

    life.reactivate()
    life.reactivate()

    assert (life.now.period_start, life.now.period_end, life.now.anchor_day) == (day(3, 31), day(4, 30), 31)
    assert (life.now.status, life.grants, life.balance) == ("active", [1_000, 1_000], 1_000)


def test_a_debt_settled_within_its_period_goes_on_with_what_is_left(life: Life) -> None:
    life.start()
    life.spend(300)
    life.past_due()

    life.reactivate()

    assert (life.now.status, life.balance, life.grants) == ("active", 700, [1_000])


def test_ending_and_coming_back_within_a_period_farms_nothing(life: Life) -> None:
    life.start()
    life.buy(5)
    for _ in range(3):
        life.clock.skip(3_600)
        assert life.end().status == "cancelled"
        life.tick()
        assert life.balance == 5
        life.start()
    assert (life.grants, life.now.period_start, life.now.status) == ([1_000], START, "active")

    life.end()
    life.start("pro")

    assert 3_900 < sum(life.grants) <= 5_000
    life.tick(day(2, 28))
    assert life.balance == 5_005


def test_who_comes_back_after_the_period_begins_a_new_one(life: Life) -> None:
    life.start()
    life.end()
    life.clock.at = day(3, 5)

    life.start()

    assert (life.now.anchor_day, life.now.period_start, life.grants) == (5, day(3, 5), [1_000, 1_000])


def test_what_cannot_be_started_or_changed(life: Life) -> None:
    verbs: list[Callable[[], Subscription]] = [life.cancel, life.past_due, life.reactivate, life.end]
    for verb in (lambda: life.change("basic"), *verbs):
        with pytest.raises(NoSubscription):
            verb()
    life.start()
    with pytest.raises(AlreadySubscribed):
        life.start("pro")
    with pytest.raises(UnknownPlan):
        life.start("golden")
    with pytest.raises(UnknownPlan):
        life.change("golden")
    life.past_due()
    with pytest.raises(AlreadySubscribed):
        life.start("pro")


def test_versions_rise_with_every_word(life: Life) -> None:
    life.start()
    life.change("pro")
    life.change("free")
    life.past_due()
    life.reactivate()
    life.cancel()
    life.tick(day(2, 28))

    versions = [version for _, _, version in life.said()]
    assert len(versions) == 7
    assert versions == sorted(set(versions))


def test_a_low_balance_is_said_once_per_threshold_and_period(life: Life) -> None:
    life.start()

    def warned() -> list[int]:
        return [one.threshold_percent for one in life.ledger.state.said if isinstance(one, CreditsLow)]

    async def announce() -> None:
        async with life.ledger.transaction() as tx:
            await Announce(clock=life.clock)(tx, ORG, life.balance, credits_came=False)

    for spent in (799, 1, 1, 149, 0, 50, 0):
        if spent:
            life.spend(spent)
        run(announce())
    assert warned() == [20, 5, 0]
    life.buy(10)
    life.spend(1)
    run(announce())
    assert warned() == [20, 5, 0]

    life.tick(day(2, 28))
    life.spend(900)
    run(announce())

    assert warned() == [20, 5, 0, 20]


def test_one_organization_s_trouble_does_not_keep_others_from_their_renewal(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    life.start()
    stuck = uuid.UUID(int=0)  # due before the other
    life.ledger.state.orgs[stuck] = life.ledger.state.orgs[ORG]
    life.ledger.state.subscriptions[stuck] = msgspec.structs.replace(life.now, org_id=stuck)
    current = life.periods.current

    async def failing(tx: LedgerTx, org_id: uuid.UUID, now: datetime) -> Subscription:
        if org_id == stuck:
            raise ValueError
        return await current(tx, org_id, now)

    monkeypatch.setattr(life.periods, "current", failing)
    with pytest.raises(ExceptionGroup):
        life.tick(day(2, 28))

    assert life.grants == [1_000, 1_000]


def test_a_customer_changes_up_to_open_plans_only_and_down_to_any() -> None:
    life, customer = Life(), Actor(key_id=uuid.UUID(int=7), address="203.0.113.7")
    life.start("basic")
    before = life.now
    with pytest.raises(PlanNotOpen):
        life.change("whole", by=customer)
    assert (life.now, life.grants) == (before, [1_000])
    assert life.change("pro", by=customer).plan.code == "pro"
    assert life.change("whole").plan.code == "whole"  # the operator gives it
    assert life.change("pro", by=customer).next_plan == "pro"
    assert life.change("whole", by=customer).next_plan is None  # what it has it may keep


def test_what_a_customer_changes_is_told_for_the_audit_log_and_what_the_operator_does_is_not() -> None:
    life, customer = Life(), Actor(key_id=uuid.UUID(int=7))
    life.start("basic")
    life.change("pro", by=customer)
    life.change("pro", by=customer)  # changes nothing
    life.cancel(by=customer)
    life.cancel(by=customer)
    life.change("pro")
    told = [one for one in life.ledger.state.said if isinstance(one, SubscriptionManaged)]
    assert [(one.action, one.details, one.by) for one in told] == [
        ("update", {"plan": {"from": "basic", "to": "pro"}}, customer), ("cancel", {}, customer),
    ]  # fmt: skip
