"""X-Forwarded-*: believed from trusted proxies only, walked from the right."""

import pytest

from services.edge.entry.proxies import TrustedProxies

TRUSTED = TrustedProxies.parse("10.0.0.0/8, 2001:db8::/32")


@pytest.mark.parametrize(
    ("peer", "lines", "client"),
    [
        ("203.0.113.9", ["6.6.6.6"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1, 10.1.1.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["10.2.2.2, 10.3.3.3"], "10.2.2.2"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("2001:db8::1", ["[2001:db9::5]:443"], "2001:db9::5"),
        ("10.0.0.1", ["198.51.100.1, <script>"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
    ],
)
def test_the_client_behind_proxies(peer: str, lines: list[str], client: str) -> None:
    assert TRUSTED.client(peer, lines) == client


def test_without_trusted_proxies_nobody_is_believed() -> None:
    assert TrustedProxies().client("10.0.0.1", ["6.6.6.6"]) == "10.0.0.1"
    assert not TrustedProxies().is_https("10.0.0.1", ["https"], direct=False)


def test_the_scheme_is_that_of_the_nearest_proxy() -> None:
    assert TRUSTED.is_https("10.0.0.1", ["https"], direct=False)
    assert not TRUSTED.is_https("10.0.0.1", ["https, http"], direct=False)
    assert not TRUSTED.is_https("203.0.113.9", ["https"], direct=False)
    assert TRUSTED.is_https("203.0.113.9", ["http"], direct=True)


def test_a_bad_network_is_named() -> None:
    with pytest.raises(ValueError, match="everyone"):
        TrustedProxies.parse("everyone")
