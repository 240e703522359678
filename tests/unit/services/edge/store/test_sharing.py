"""Suspected sharing: counted by network, alarmed once an hour, never refused, bounded."""

import ipaddress

import pytest
from prometheus_client import REGISTRY

from libs.common.contracts.auth import Principal
from services.edge.store import sharing
from services.edge.store.sharing import NETWORKS_MAX, WINDOW_MS, SharedKeys, client_network
from tests.support.edge import ManualClock, a_principal


def alarms() -> float:
    return REGISTRY.get_sample_value("fangate_key_sharing_suspected_total") or 0.0


def use(keys: SharedKeys, caller: Principal, networks: range) -> None:
    for number in networks:
        keys.saw(caller, str(ipaddress.IPv4Address((10 << 24) + number * 256 + 7)))


def test_R149_a_key_used_from_many_networks_is_alarmed_once_an_hour() -> None:
    clock, caller, before = ManualClock(), a_principal(), alarms()
    keys = SharedKeys(clock)
    use(keys, caller, range(NETWORKS_MAX))
    assert alarms() == before
    use(keys, caller, range(NETWORKS_MAX, 3 * NETWORKS_MAX))
    assert alarms() == before + 1
    clock.advance(WINDOW_MS)
    use(keys, caller, range(NETWORKS_MAX + 1))
    assert alarms() == before + 2


def test_many_addresses_of_one_network_and_many_keys_of_one_address_are_nothing() -> None:
    keys, caller, before = SharedKeys(ManualClock()), a_principal(), alarms()
    for host in range(256):
        keys.saw(caller, f"192.0.2.{host}")
        keys.saw(caller, f"2001:db8::{host:x}")
        keys.saw(a_principal(), "192.0.2.1")
    assert alarms() == before


def test_no_more_than_so_many_keys_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "KEYS_MAX", 10)
    keys = SharedKeys(ManualClock())
    for _ in range(50):
        keys.saw(a_principal(), "192.0.2.1")
    assert len(keys._keys) == 10


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0"),
        ("::ffff:192.0.2.77", "192.0.2.0"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
        ("somewhere", "somewhere"),
    ],
)
def test_the_network_of_a_client(address: str, network: str) -> None:
    assert client_network(address) == network
