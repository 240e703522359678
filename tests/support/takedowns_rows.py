"""Rows of takedowns on Postgres, for suites of ports: creators, a host, URLs wherever they stand, notices about them."""

import asyncio
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from libs.common.contracts.envelope import Message
from libs.common.contracts.registry import REGISTRY
from libs.common.db.pool import Database, Record
from libs.common.ids import uuid7
from services.takedowns.domain.ports import UrlOwner
from services.takedowns.domain.progress_ports import NewNotice, UrlRef
from services.takedowns.domain.states import Category, Stage, State

ORG: Final = uuid.UUID(int=7)
OTHER: Final = uuid.UUID(int=8)
NOW: Final = datetime.now(UTC).replace(microsecond=0)  # looks find partitions of these months only
HOST: Final = "leaks.example.com"
MAILBOX: Final = f"dmca@{HOST}"


@dataclass(frozen=True)
class Rows:
    """What a suite puts behind its port."""

    db: Database

    async def add(self, table: str, **row: Any) -> None:
        marks = ", ".join(f"${at}" for at in range(1, len(row) + 1))
        await self.db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", *row.values())

    async def creator(self, name: str = "Luna", *, org_id: uuid.UUID = ORG, **row: Any) -> UrlOwner:
        public_id, email = uuid7(), f"{uuid.uuid4().hex}@example.com"
        await self.add(
            "creators", public_id=public_id, org_id=org_id, stage_name=name, email=email, email_key=email, **row
        )
        id_: int = await self.db.fetchval("SELECT id FROM creators WHERE public_id = $1", public_id)
        return UrlOwner(org_id, id_, public_id)

    async def links(self, owner: UrlOwner, *platforms: str) -> None:
        """The creator's official links, in this order."""
        for pos, platform in enumerate(platforms):
            await self.add(
                "creator_links", creator_id=owner.creator_id, platform=platform, handle="Luna", handle_key="luna", pos=pos
            )  # fmt: skip

    async def entry(self, **row: Any) -> None:
        """An entry of the directory that an operator wrote about the host."""
        default = {
            "id": "leaks", "source": "operator", "name": "Leaks", "match": [f".{HOST}"], "kind": "tube",
            "takedown_method": "none", "confidence": "high",
        }  # fmt: skip
        await self.add("directory", **default | row)

    async def host(self, name: str = HOST, **row: Any) -> int:
        """The one of this name; made if it is not there."""
        find = "SELECT id FROM hosts WHERE host = $1"
        if await self.db.fetchval(find, name) is None:
            await self.add("hosts", host=name, site="example.com", **row)
        id_: int = await self.db.fetchval(find, name)
        return id_

    async def url(self, owner: UrlOwner, *, host: str = HOST, **row: Any) -> UrlRef:
        """One that is ready, and due at no time."""
        id_ = uuid7()
        default = {"url": f"https://{host}/{id_}", "batch_id": uuid7(), "state": State.READY}
        await self.add(
            "urls", creator_id=owner.creator_id, id=id_, url_key=secrets.token_bytes(16), host_id=await self.host(host),
            **default | row,
        )  # fmt: skip
        return UrlRef(owner.creator_id, id_)

    async def show(self, ref: UrlRef) -> Record:
        """The row of a URL."""
        row = await self.db.fetchrow("SELECT * FROM urls WHERE creator_id = $1 AND id = $2", ref.creator_id, ref.id)
        assert row is not None
        return row

    async def states(self, *refs: UrlRef) -> list[State]:
        return [State((await self.show(ref))["state"]) for ref in refs]

    async def said(self) -> list[Message]:
        """What was committed for the bus so far, in order."""
        return await said(self.db)


async def said(db: Database) -> list[Message]:
    """What was committed for the bus so far, in order."""
    found = []
    for row in await db.fetch("SELECT type, body FROM outbox ORDER BY id"):
        entry = REGISTRY.by_name(row["type"])
        assert entry is not None
        found.append(msgspec.json.decode(row["body"], type=entry.struct))
    return found


async def somebody_waits(db: Database) -> None:
    """Returns once a statement waits for another transaction's lock."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with asyncio.timeout(30):
        while not await db.fetchval(waiting):
            await asyncio.sleep(0.01)


def a_notice(owner: UrlOwner, host_id: int, urls: Sequence[UrlRef] = (), **changes: Any) -> NewNotice:
    """A mail that is due now."""
    id_ = uuid7()
    notice = NewNotice(
        id=id_, org_id=owner.org_id, creator_id=owner.creator_id, host_id=host_id, stage=Stage.SITE,
        category=Category.COPYRIGHT, channel="email", to_addr=MAILBOX, language="en", msg_id=f"<{id_}@reply.example>",
        status="planned", due_at=NOW, urls=tuple(urls),
    )  # fmt: skip
    return msgspec.structs.replace(notice, **changes)
