"""A part of a submission really fails: the database of the running system refuses the rows of one creator. The page's 207, by curl."""

import asyncio
import contextlib
import json
import shutil
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from tests.e2e.clients.platform import PlatformClient
from tests.e2e.clients.platform_curls import CURLS, called_here
from tests.support.stack import Stack


async def run(command: str) -> tuple[int, Any]:
    """Status and body."""
    shell = await asyncio.create_subprocess_shell(
        command.replace("curl", "curl -s -w '\\n%{http_code}'", 1),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    body, _, status = (await shell.communicate())[0].decode().rpartition("\n")
    return int(status), json.loads(body)


@contextlib.asynccontextmanager
async def refusing(stack: Stack, creator_id: str) -> AsyncIterator[None]:
    """No row of this creator is taken by the database."""
    admin = await asyncpg.connect(stack.env["FANGATE_POSTGRES_DSN_MIGRATE"])
    try:
        number = await admin.fetchval("SELECT id FROM takedowns.creators WHERE public_id = $1", uuid.UUID(creator_id))
        await admin.execute(f"ALTER TABLE takedowns.urls ADD CONSTRAINT planted CHECK (creator_id <> {number})")
        try:
            yield
        finally:
            await admin.execute("ALTER TABLE takedowns.urls DROP CONSTRAINT planted")
    finally:
        await admin.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_R112_a_part_that_the_database_refuses_is_207_and_free_and_new_when_it_is_sent_again(
    stack: Stack,
) -> None:
    # given two creators, and a database that refuses the second's URLs
    organization = await stack.an_organization(credits=100)
    links = [{"platform": "onlyfans", "handle": "examplecreator"}]
    async with PlatformClient(f"{stack.url}/api/platforms", organization.key) as client:
        people = [
            {"stage_name": name, "email": f"{uuid.uuid4().hex}@example.com", "official_links": links}
            for name in ("First", "Second")
        ]
        await client.submit_creators(*people)
        first, second = [creator["id"] for creator in (await client.creators())["creators"]]
        command = called_here(CURLS[-1], stack.url, organization.key, first=first, second=second)

        # when they are submitted
        async with refusing(stack, second):
            status, said = await run(command)

        # then it says whose part failed, and only what is stored was paid
        assert status == 207
        assert [said[name] for name in ("urlCount", "new", "duplicate", "invalid", "failed", "refunded")] == [
            4,
            3,
            0,
            0,
            1,
            1,
        ]
        assert {group["creator_id"]: group["status"] for group in said["groups"]} == {
            first: "accepted",
            second: "failed",
        }
        assert await stack.balance(organization) == 97
        assert [
            line["amount"] for line in (await client.transactions())["transactions"] if line["type"] == "debit"
        ] == [3]

        # and what failed is new when it is sent again, as the page advises
        status, said = await run(command)
        assert (status, said["new"], said["duplicate"]) == (201, 1, 3)
        assert await stack.balance(organization) == 96
