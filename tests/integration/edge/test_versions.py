"""Versions over HTTP: their life as the clock says, on every surface; old shapes of our own answers, never of a platform's."""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import msgspec
import pytest

from libs.common.contracts import auth
from libs.common.contracts.edge import CallsCounted
from libs.common.contracts.versions import API_VERSIONS, NEWEST
from libs.common.ids import uuid7
from services.edge.domain.versions import Versions
from tests.support.edge import OWN_PERMISSIONS, PLATFORM_BODY, ManualClock, RunningEdge, running_edge
from tests.support.gateway_client import Answer

OLD = API_VERSIONS[0]
DEPRECATED, SUNSET = datetime(2027, 1, 15, tzinfo=UTC), datetime(2027, 7, 15, tzinfo=UTC)
DATES = f"{OLD}=2027-01-15/2027-07-15"
DAY_MS = 86_400_000


class Client:
    """Asks one edge with one key on three surfaces; the clock of versions is `clock`."""

    def __init__(self, edge: RunningEdge, clock: ManualClock, session: aiohttp.ClientSession) -> None:
        self.edge, self.clock, self._session = edge, clock, session
        self.key, self.principal, self.model = edge.organization(is_bound=True, permissions=OWN_PERMISSIONS | ALL)

    async def ask(self, path: str, version: str | None = OLD, method: str = "GET", **options: Any) -> Answer:
        name = "X-Fanvue-API-Key" if path.startswith("/fanvue") else "X-API-Key"
        headers = {name: self.key} | ({} if version is None else {"X-API-Version": version})
        async with self._session.request(method, self.edge.url + path, headers=headers, **options) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    def paths(self) -> dict[str, str]:
        return {
            "gateway": f"/api/models/{self.model}/chats",
            "metric": f"/v1/{self.model}/chats",
            "fanvue": "/fanvue/chats",
        }  # fmt: skip


ALL = frozenset({"api_chats_list", "api_messages_send"})


@contextlib.asynccontextmanager
async def a_client(redis_url: str, at: datetime, dates: str = DATES) -> AsyncIterator[Client]:
    clock = ManualClock(int(at.timestamp() * 1_000))
    async with (
        running_edge(redis_url, versions=Versions.with_dates(dates), version_clock=clock) as edge,
        aiohttp.ClientSession() as session,
    ):
        yield Client(edge, clock, session)


@pytest.mark.parametrize("surface", ["gateway", "metric", "fanvue"])
async def test_R128_R129_R130_R131_one_version_through_its_life(redis_url: str, surface: str) -> None:
    async with a_client(redis_url, datetime(2027, 1, 14, 23, 59, 59, tzinfo=UTC)) as client:
        path = client.paths()[surface]
        before = await client.ask(path)
        assert before.status == 200
        assert not {"Deprecation", "Sunset", "Link", "X-API-Next-Version"} & set(before.headers)

        client.clock.advance(1_000)
        deprecated = await client.ask(path)
        assert deprecated.status == 200
        assert deprecated.headers["Deprecation"] == f"@{int(DEPRECATED.timestamp())}"
        assert parsedate_to_datetime(deprecated.headers["Sunset"]) == SUNSET
        assert deprecated.headers["X-API-Next-Version"] == NEWEST
        assert deprecated.headers["X-Fanvue-API-Next-Version"] == NEWEST
        assert deprecated.headers["X-API-Version"] == OLD
        for relation in ("deprecation", "sunset", "successor-version"):
            assert f'rel="{relation}"' in deprecated.headers["Link"]
        refused = await client.ask(path + "?colour=red")
        assert (refused.status, refused.headers["X-API-Next-Version"]) == (400, NEWEST), "errors say it too"

        client.clock.advance(181 * DAY_MS)
        ended = await client.ask(path)
        assert (ended.status, ended.headers["X-Error-Code"]) == (410, "VERSION_SUNSET")
        assert ended.headers["X-API-Next-Version"] == NEWEST
        assert parsedate_to_datetime(ended.headers["Sunset"]) == SUNSET
        assert (await client.ask(path, NEWEST)).status == 200


async def test_R127_a_410_names_the_next_version_in_its_body(redis_url: str) -> None:
    async with a_client(redis_url, SUNSET) as client:
        answer = await client.ask("/fanvue/chats")
        assert answer.json == {
            "error": "API version no longer supported",
            "message": f"API version no longer supported: {OLD} ended on 2027-07-15, use {NEWEST}",
            "nextVersion": NEWEST,
        }


async def test_R169_who_still_calls_in_a_version_that_has_ended_is_seen(redis_url: str) -> None:
    async with a_client(redis_url, SUNSET) as client:
        await client.ask("/fanvue/chats")
        await client.ask("/fanvue/chats", "2020-01-01")
        await client.edge.calls.flush()
        (message,) = (one for one in client.edge.broker.messages if one.type == "edge.calls.counted.v1")
        told = msgspec.json.decode(message.body, type=CallsCounted)
    assert sorted((each.version, each.calls) for each in told.counts) == [("", 1), (OLD, 1)]


async def test_a_pinned_version_that_has_ended_ends_for_those_who_send_none(redis_url: str) -> None:
    async with a_client(redis_url, SUNSET) as client:
        assert (await client.ask(client.paths()["gateway"], None)).status == 410


@pytest.mark.parametrize(("version", "window"), [(OLD, 0), (NEWEST, None), (None, 0)])
async def test_an_own_answer_is_in_the_shape_of_the_version_asked_for(
    redis_url: str, version: str | None, window: int | None
) -> None:
    async with a_client(redis_url, DEPRECATED) as client:
        answer = await client.ask("/api/whoami", version)
        assert answer.json["data"]["limits"]["key_per_minute"] == window
        assert answer.headers["X-API-Version"] == (version or OLD)


@pytest.mark.parametrize(("version", "body"), [(OLD, {"overlap_hours": 2}), (NEWEST, {"overlap_seconds": 7_200})])
async def test_a_request_of_an_older_version_climbs_to_what_the_services_know(
    redis_url: str, version: str, body: dict[str, int]
) -> None:
    async with a_client(redis_url, DEPRECATED) as client:
        await client.ask(f"/api/keys/{uuid7()}/rotate", version, "POST", json=body)
        (asked,) = (each for each in client.edge.services.asked if isinstance(each, auth.RotateKey))
        assert asked.overlap_seconds == 7_200


async def test_a_key_is_pinned_to_the_version_it_was_asked_for_in(redis_url: str) -> None:
    async with a_client(redis_url, DEPRECATED) as client:
        await client.ask("/api/keys", OLD, "POST", json={"label": "l", "role": "owner"})
        (asked,) = (each for each in client.edge.services.asked if isinstance(each, auth.CreateKey))
        assert asked.api_version == OLD


@pytest.mark.parametrize("version", API_VERSIONS)
async def test_a_platforms_bytes_are_the_same_in_every_version(redis_url: str, version: str) -> None:
    async with a_client(redis_url, DEPRECATED) as client:
        assert (await client.ask("/fanvue/chats", version)).body == PLATFORM_BODY


async def test_each_version_has_its_document_and_the_page_links_there(redis_url: str) -> None:
    async with a_client(redis_url, DEPRECATED) as client:
        for version in API_VERSIONS:
            answer = await client.ask(f"/fanvue/openapi.json?version={version}", None)
            assert answer.json["info"]["version"] == version
        newest = await client.ask("/fanvue/openapi.json", None)
        assert newest.json["info"]["version"] == NEWEST
        assert (await client.ask("/fanvue/openapi.json?version=2020-01-01", None)).status == 400
