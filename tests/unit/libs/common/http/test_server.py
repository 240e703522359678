"""The server's start-up checks; what it does with requests is in `tests/integration/edge`."""

import pytest

from libs.common.http import server


def test_the_installed_aiohttp_is_hardened() -> None:
    server.assert_hardened()


def test_an_old_aiohttp_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiohttp.__version__", "3.14.3")
    with pytest.raises(RuntimeError, match="below the floor"):
        server.assert_hardened()


def test_the_python_parser_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOHTTP_NO_EXTENSIONS", "1")
    with pytest.raises(RuntimeError, match="C parser"):
        server.assert_hardened()
