"""Transactions that somebody left open, and how an operator ends them: by their pid."""

import contextlib

import asyncpg

from tests.support.runbooks.room import Room


async def leave_open(room: Room, *statements: str) -> None:
    """Run them as the owner and go away; the last one begins a transaction."""
    connection = await asyncpg.connect(room.servers.postgres.dsn.rpartition("/")[0] + "/" + room.database)
    for statement in statements:
        await connection.execute(statement)
    room.notes["left open"] = connection


async def end_left_open(room: Room) -> None:
    """By its pid. A database that crashed meanwhile has ended it already."""
    connection = room.notes["left open"]
    await room.owner("SELECT pg_terminate_backend($1)", connection.get_server_pid())
    with contextlib.suppress(Exception):
        await connection.close()
