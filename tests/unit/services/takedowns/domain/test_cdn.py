import ipaddress

import pytest

from services.takedowns.domain.cdn import cdn_of


@pytest.mark.parametrize(
    ("address", "headers", "cdn"),
    [
        ("104.16.1.1", {}, "cloudflare"), ("2606:4700::1", {}, "cloudflare"), ("151.101.1.1", {}, "fastly"), ("93.184.216.34", {}, None),
        ("93.184.216.34", {"CF-RAY": "x"}, "cloudflare"), ("93.184.216.34", {"X-Amz-Cf-Id": "x"}, "cloudfront"),
        ("93.184.216.34", {"X-Served-By": "cache-fra-1"}, "fastly"), ("93.184.216.34", {"X-Served-By": "us"}, None),
        ("93.184.216.34", {"x-sucuri-id": "1"}, "sucuri"), ("93.184.216.34", {"Server": "BunnyCDN-DE1"}, "bunny"),
    ],
)  # fmt: skip
def test_what_stands_in_front_of_a_host(address: str, headers: dict[str, str], cdn: str | None) -> None:
    assert cdn_of([ipaddress.ip_address(address)], headers) == cdn


def test_nothing_known_is_nothing() -> None:
    assert cdn_of([]) is None
