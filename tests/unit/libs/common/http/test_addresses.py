import ipaddress

import pytest

from libs.common.http.addresses import is_public


@pytest.mark.parametrize(
    "text", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8", "100.63.255.255", "100.128.0.0"]
)
def test_somebodys_address_is_public(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.1", "10.0.0.1", "100.64.0.0", "100.127.255.255", "127.0.0.1", "127.255.255.255", "168.63.129.16", "169.254.169.254",
        "172.16.0.1", "192.0.0.9", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
        "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1",
        "2002:a00:1::", "fc00::1", "fe80::1", "fec0::1", "ff02::1", "ff0e::1",
    ],
)  # fmt: skip
def test_what_is_ours_or_nobodys_is_not(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))
