"""The auth version's protocol (docs/architecture.md): no call goes ahead on an outdated principal."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
import pytest

from libs.common.contracts.auth import Principal
from services.edge.domain.catalogue import Route
from services.edge.domain.ports import AdmissionAway, Credential, PrincipalCold, PrincipalStale, Reserved
from services.edge.domain.refusal import Refusal
from services.edge.domain.windows import Counters, Limits, Windows
from services.edge.usecases import admit as admit_module
from services.edge.usecases.admit import Admit
from tests.support.edge import ManualClock, a_credential, a_principal, a_route

WINDOWS = Windows(Limits(10, 10, 0), Counters(0, 1, 0, 1, 0))


@dataclass
class Store:
    """The shared admission: compares versions as the script does. `av` None = cold."""

    av: int | None = 1
    is_away: bool = False
    costs: list[int] = field(default_factory=list)
    released: int = 0

    async def reserve(self, caller: Principal, route: Route, *, cost: int, is_counted: bool = True) -> Reserved:
        if self.is_away:
            raise AdmissionAway
        if self.av is None:
            raise PrincipalCold
        if self.av != caller.av:
            raise PrincipalStale(self.av)
        self.costs.append(cost)
        return Reserved(caller.org_id, cost, 0, WINDOWS)

    async def release(self, reserved: Reserved) -> None:
        self.released += 1

    async def raise_version(self, org_id: UUID, av: int) -> int:
        if self.is_away:
            raise AdmissionAway
        self.av = max(self.av or 0, av)
        return self.av


@dataclass
class Auth:
    """The `Principals` port: `answers` one after the other, the last for ever."""

    answers: list[Principal | None]
    asked: list[Any] = field(default_factory=list)

    async def resolve(self, credential: Credential, *, age_ms_max: int | None = None) -> Principal | None:
        self.asked.append(age_ms_max)
        return self.answers[0]

    async def resolve_anew(self, credential: Credential) -> Principal | None:
        self.asked.append("anew")
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def known(self, credential: Credential) -> Principal | None:
        return None

    def was_good(self, credential: Credential) -> bool:
        return False


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admit_module, "LOOK_AGAIN_SECONDS", 0)


async def admitted(
    store: Store, auth: Auth, caller: Principal, local: Store | None = None
) -> tuple[Principal, Reserved]:
    do = Admit(admission=store, local=local or Store(is_away=True), principals=auth, clock=ManualClock())
    return await do(caller, a_credential(), a_route(), address="203.0.113.7")


CALLER = a_principal(av=3)


def at(av: int, **changes: Any) -> Principal:
    return msgspec.structs.replace(CALLER, av=av, **changes)


async def test_equal_versions_pass_without_a_question() -> None:
    auth = Auth([None])
    assert (await admitted(Store(av=3), auth, CALLER))[0] is CALLER
    assert auth.asked == []


async def test_cold_asks_auth_and_never_believes_the_cache() -> None:
    store, auth = Store(av=None), Auth([at(5)])
    caller, _ = await admitted(store, auth, CALLER)
    assert (caller.av, store.av, auth.asked) == (5, 5, ["anew"])


async def test_cold_finds_a_revoked_key_revoked() -> None:
    with pytest.raises(Refusal) as caught:
        await admitted(Store(av=None), Auth([None]), CALLER)
    assert caught.value.code == "INVALID_API_KEY"


async def test_a_stale_principal_is_resolved_anew_and_checked_anew() -> None:
    with pytest.raises(Refusal) as caught:
        await admitted(Store(av=4), Auth([at(4, permissions=frozenset())]), CALLER)
    assert caught.value.code == "PERMISSION_DENIED"
    assert caught.value.windows is WINDOWS


async def test_an_answer_older_than_the_event_is_asked_for_once_more() -> None:
    auth = Auth([at(3), at(4)])
    caller, _ = await admitted(Store(av=4), auth, CALLER)
    assert (caller.av, auth.asked) == (4, ["anew", "anew"])


async def test_a_store_behind_is_raised() -> None:
    store = Store(av=2)
    assert (await admitted(store, Auth([None]), CALLER))[0] is CALLER
    assert store.av == 3


async def test_a_version_that_will_not_settle_is_a_503() -> None:
    with pytest.raises(Refusal) as caught:
        await admitted(Store(av=9), Auth([at(3)]), CALLER)
    assert caught.value.code == "UNAVAILABLE"


async def test_a_refusal_costs_nothing_and_still_counts() -> None:
    store = Store(av=3)
    with pytest.raises(Refusal):
        await admitted(store, Auth([None]), at(3, subscription="none"))
    assert store.costs == [0]


async def test_without_the_store_the_principal_is_fresh_and_the_lease_is_local() -> None:
    auth, local = Auth([at(7)]), Store(av=7)
    caller, _ = await admitted(Store(is_away=True), auth, CALLER, local)
    assert (caller.av, auth.asked, local.costs) == (7, [1_000], [1])


async def test_without_the_store_rights_are_checked_on_the_fresh_principal() -> None:
    with pytest.raises(Refusal) as caught:
        await admitted(Store(is_away=True), Auth([at(7, org_state="suspended")]), CALLER, Store(av=7))
    assert caught.value.code == "ORGANIZATION_SUSPENDED"


async def test_release_goes_where_the_reserve_came_from() -> None:
    store, local = Store(), Store()
    do = Admit(admission=store, local=local, principals=Auth([None]), clock=ManualClock())
    await do.release(Reserved(CALLER.org_id, 1, 0, WINDOWS))
    await do.release(Reserved(CALLER.org_id, 1, 0, WINDOWS, is_local=True))
    assert (store.released, local.released) == (1, 1)
