"""Broadcasts: evict, raise the version, forget a negative answer; and nothing depends on their arrival."""

from typing import Any
from uuid import UUID

import pytest

from libs.common.contracts.auth import KeyRevoked, OrganizationChanged
from libs.common.contracts.billing import BalanceChanged, CreditsLow
from libs.common.contracts.envelope import Context, Message
from libs.common.ids import uuid7
from services.edge.domain.ports import AdmissionAway
from services.edge.entry.broadcasts import Broadcasts

ORG = uuid7()
CONTEXT = Context(message_id=uuid7(), type="x", sender="auth")


class Told:
    """Cache and shared state; writes down what it is told."""

    def __init__(self, *, is_away: bool = False) -> None:
        self.done: list[tuple[Any, ...]] = []
        self._is_away = is_away

    def evict(self, org_id: UUID) -> None:
        self.done.append(("evict", org_id))

    def clear(self) -> None:
        self.done.append(("clear",))

    async def raise_version(self, org_id: UUID, av: int) -> int:
        if self._is_away:
            raise AdmissionAway
        self.done.append(("raise", org_id, av))
        return av

    async def forget_negative(self, org_id: UUID) -> None:
        if self._is_away:
            raise AdmissionAway
        self.done.append(("forget", org_id))


@pytest.mark.parametrize(
    ("message", "done"),
    [
        (OrganizationChanged(org_id=ORG, av=4), [("evict", ORG), ("raise", ORG, 4)]),
        (KeyRevoked(org_id=ORG, key_id=uuid7(), digest="0", av=5), [("evict", ORG), ("raise", ORG, 5)]),
        (BalanceChanged(org_id=ORG, balance=1, version=1), [("forget", ORG)]),
        (CreditsLow(org_id=ORG, balance=1, threshold_percent=5), []),
    ],
)
async def test_what_each_says(message: Message, done: list[tuple[Any, ...]]) -> None:
    told = Told()
    await Broadcasts(told, told).on_message(message, CONTEXT)
    assert told.done == done


async def test_without_the_store_caches_are_evicted_all_the_same() -> None:
    told = Told(is_away=True)
    await Broadcasts(told, told).on_message(OrganizationChanged(org_id=ORG, av=4), CONTEXT)
    await Broadcasts(told, told).on_message(BalanceChanged(org_id=ORG, balance=1, version=1), CONTEXT)
    assert told.done == [("evict", ORG)]


async def test_a_reconnect_forgets_everything() -> None:
    told = Told()
    await Broadcasts(told, told).on_connected()
    assert told.done == [("clear",)]
