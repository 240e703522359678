"""The outgoing HTTP client against servers that misbehave."""

import asyncio
import contextlib
import ipaddress
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from deploy.local import ports
from libs.common.http import client
from libs.common.http.client import HttpClient, HttpError, HttpTimeout, HttpTooLarge
from tests.support.raw_server import answer, serving

MAX = 10_000


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    opened = await HttpClient.open(body_bytes_max=MAX)
    yield opened
    await opened.close()


async def test_what_is_sent_and_what_comes_back(http: HttpClient) -> None:
    asks: list[bytes] = []
    async with serving(answer(b'{"a":1e400}', "Set-Cookie: sid=x; Path=/", "X-Odd: 1"), asks=asks) as url:
        got = await http.request("GET", f"{url}/a?q=%7Bx%7D&r=%2f+", headers={"Cookie": "sid=y"}, timeout_s=5)
    assert (got.status, got.body, dict(got.cookies), got.headers["X-Odd"]) == (200, b'{"a":1e400}', {"sid": "x"}, "1")
    assert asks[0].startswith(b"GET /a?q=%7Bx%7D&r=%2f+ HTTP/1.1\r\n"), "the target is not re-encoded"
    assert b"Cookie: sid=y\r\n" in asks[0]
    assert b"Accept-Encoding: identity\r\n" in asks[0]


async def test_cookies_are_not_kept_and_redirects_not_followed(http: HttpClient) -> None:
    asks: list[bytes] = []
    redirect = answer(b"", "Location: /elsewhere", "Set-Cookie: sid=x", status="302 Found")
    async with serving(redirect, answer(b"{}"), asks=asks) as url:
        assert (await http.request("GET", url, headers={}, timeout_s=5)).status == 302
        await http.request("GET", url, headers={}, timeout_s=5)
    assert len(asks) == 2
    assert b"Cookie" not in asks[1]


@pytest.mark.parametrize("size", [MAX, MAX + 1])
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_is_bounded_whether_announced_or_not(http: HttpClient, size: int, is_chunked: bool) -> None:
    body = b"x" * size
    raw = answer(body)
    if is_chunked:
        raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % size + body + b"\r\n0\r\n\r\n"
    async with serving(raw) as url:
        if size <= MAX:
            assert (await http.request("GET", url, headers={}, timeout_s=5)).body == body
        else:
            with pytest.raises(HttpTooLarge):
                await http.request("GET", url, headers={}, timeout_s=5)


async def test_a_compressed_answer_is_refused(http: HttpClient) -> None:
    async with serving(answer(b"\x1f\x8b bomb", "Content-Encoding: gzip")) as url:
        with pytest.raises(HttpError, match="compressed"):
            await http.request("GET", url, headers={}, timeout_s=5)


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"not http at all\r\n\r\n"])
async def test_a_lost_connection_may_have_carried_the_request(http: HttpClient, raw: bytes) -> None:
    async with serving(raw) as url:
        with pytest.raises(HttpError) as lost:
            await http.request("POST", url, headers={}, body=b"{}", timeout_s=5)
    assert lost.value.may_have_left


async def test_a_refused_connection_carried_nothing(http: HttpClient) -> None:
    (port,) = ports.pick(1)
    url = f"http://127.0.0.1:{port}"
    with pytest.raises(HttpError) as refused:
        await http.request("POST", url, headers={}, body=b"{}", timeout_s=5)
    assert not refused.value.may_have_left


@contextlib.asynccontextmanager
async def keeping_alive(
    answers: bytes, connections: list[int], *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """A server that writes `answers` to every request and stays; it counts the requests of each connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(connections)
        connections.append(0)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                connections[number] += 1
                writer.write(answers)
        writer.close()

    (port,) = ports.pick(1)
    async with await asyncio.start_server(serve, "127.0.0.1", port, ssl=tls):
        yield f"http{'s' if tls else ''}://127.0.0.1:{port}"


WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    "whole",
    [
        WHOLE,
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + WHOLE,
    ],
    ids=["a length", "no content", "chunks", "an announcement"],
)
async def test_a_connection_is_used_again(http: HttpClient, whole: bytes) -> None:
    connections: list[int] = []
    async with keeping_alive(whole, connections) as url:
        for _ in range(3):
            got = await http.request("GET", f"{url}/a", headers={}, timeout_s=5)
            assert (got.status, got.body) in {(200, b"{}"), (204, b"")}
        await http.close()
    assert connections == [3]


@pytest.mark.parametrize("odd", [WHOLE + WHOLE, WHOLE.replace(b"OK", b"OK\r\nConnection: close")])
async def test_a_connection_is_not_used_again_when_more_came_or_the_server_will_close(
    http: HttpClient, odd: bytes
) -> None:
    connections: list[int] = []
    async with keeping_alive(odd, connections) as url:
        for _ in range(2):
            assert (await http.request("GET", f"{url}/a", headers={}, timeout_s=5)).body == b"{}"
        await http.close()
    assert connections == [1, 1]


async def test_a_connection_that_the_server_closed_meanwhile_is_replaced(http: HttpClient) -> None:
    async with serving(WHOLE, WHOLE) as url:  # it promises to keep the connection, and closes it
        for _ in range(2):
            assert (await http.request("GET", f"{url}/a", headers={}, timeout_s=5)).body == b"{}"
            await asyncio.sleep(0.05)


async def test_a_body_without_a_length_ends_with_the_connection(http: HttpClient) -> None:
    async with serving(b"HTTP/1.1 200 OK\r\n\r\n{}") as url:
        assert (await http.request("GET", f"{url}/a", headers={}, timeout_s=5)).body == b"{}"


async def test_a_protocol_that_nobody_asked_for_is_refused(http: HttpClient) -> None:
    async with serving(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n") as url:
        with pytest.raises(HttpError):
            await http.request("GET", f"{url}/a", headers={}, timeout_s=5)


def a_certificate(folder: Path) -> tuple[Path, Path]:
    """Of 127.0.0.1, signed by itself; the paths of certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "127.0.0.1")])
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(built.public_bytes(pem))
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return folder / "cert.pem", folder / "key.pem"


async def test_a_server_whose_certificate_nobody_vouches_for_is_told_nothing(
    http: HttpClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    certificate, key = a_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    connections: list[int] = []
    async with keeping_alive(WHOLE, connections, tls=context) as url:
        # when, then
        with pytest.raises(HttpError, match="no connection") as refused:
            await http.request("POST", f"{url}/a", headers={}, body=b"{}", timeout_s=5)
        assert not refused.value.may_have_left
        # but once somebody does
        monkeypatch.setattr(client, "_tls", lambda: ssl.create_default_context(cafile=str(certificate)))
        client._origin.cache_clear()
        for _ in range(2):
            assert (await http.request("GET", f"{url}/a", headers={}, timeout_s=5)).body == b"{}"
        await http.close()
    assert connections[-1] == 2
    client._origin.cache_clear()


@pytest.mark.parametrize(("newest", "is_spoken_to"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1")
async def test_R162_a_server_that_speaks_old_tls_only_is_not_spoken_to(
    http: HttpClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, newest: str, is_spoken_to: bool
) -> None:
    # given a server that is trusted, and speaks nothing newer
    certificate, key = a_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion[newest]
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    client._tls.cache_clear()
    client._origin.cache_clear()
    assert client._tls().minimum_version >= ssl.TLSVersion.TLSv1_2
    connections: list[int] = []
    async with keeping_alive(WHOLE, connections, tls=context) as url:
        if is_spoken_to:
            assert (await http.request("GET", f"{url}/a", headers={}, timeout_s=5)).body == b"{}"
        else:
            with pytest.raises(HttpError, match="no connection"):
                await http.request("GET", f"{url}/a", headers={}, timeout_s=5)
        await http.close()
    client._tls.cache_clear()
    client._origin.cache_clear()


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("GET", "/a b", {}),
        ("GET", "/a\r\nX: 1", {}),
        ("GET", "/a", {"Cookie": "sid=1\r\nX: 1"}),
        ("GET", "/a", {"Cookie": "sid=1\n"}),
        ("GET", "/a", {"X: 1\r\nY": "1"}),
        ("HEAD", "/a", {}),
        ("GET /x HTTP/1.1", "/a", {}),
    ],
)
async def test_what_would_end_a_line_early_is_not_sent(
    http: HttpClient, method: str, target: str, headers: dict[str, str]
) -> None:
    asks: list[bytes] = []
    async with serving(WHOLE, asks=asks) as url:
        with pytest.raises(ValueError, match=r"is not spoken|line break"):
            await http.request(method, url + target, headers=headers, timeout_s=5)
    assert asks == []


async def test_a_slow_answer_is_a_timeout_that_may_have_carried_the_request(http: HttpClient) -> None:
    for raw in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nslow"):
        async with serving(raw, stay_s=2.0) as url:
            with pytest.raises(HttpTimeout) as late:
                await http.request("POST", url, headers={}, body=b"{}", timeout_s=0.2)
            assert late.value.may_have_left


async def test_a_wait_for_a_free_connection_carried_nothing() -> None:
    narrow = await HttpClient.open(connections_max=1)
    try:
        async with serving(b"", stay_s=2.0) as url:
            busy = asyncio.create_task(narrow.request("GET", url, headers={}, timeout_s=1))
            await asyncio.sleep(0.05)
            with pytest.raises(HttpTimeout) as late:
                await narrow.request("POST", url, headers={}, body=b"{}", timeout_s=0.2)
            assert not late.value.may_have_left
            with pytest.raises(HttpTimeout):
                await busy
    finally:
        await narrow.close()
