"""What can go wrong with Postgres, in our words: no error of asyncpg leaves `libs/common/db`.

`DatabaseAway` and `Conflict` pass: a job is tried again, an rpc is answered UNAVAILABLE, a batch is kept. `CommitUnknown` is
the third outcome: nobody knows whether the transaction stands. The violations say which rule of the schema refused the rows.
"""

import contextlib
from collections.abc import Iterator
from typing import Final

import asyncpg

from libs.common.errors import Permanent, Transient, Unavailable


class DatabaseAway(Unavailable, Transient):
    """The database does not answer; try again in a moment."""


class NotPrimary(DatabaseAway):
    """The server is a replica now and takes no writes; connections are opened anew, to wherever the name leads."""


class CommitUnknown(DatabaseAway):
    """The connection was lost during COMMIT: the transaction may stand or not. Only an idempotent repeat is safe."""


class Conflict(Unavailable, Transient):
    """Another transaction was in the way; the whole transaction was undone and may be tried again."""


class Deadlock(Conflict):
    """Two transactions waited for each other, and this one was undone."""


class LockTimeout(Conflict):
    """A lock or a statement took longer than it may."""


class DatabaseError(Exception):
    """Postgres refused a statement: a defect of ours, or data that the schema forbids."""

    def __init__(self, message: str, *, sqlstate: str = "", constraint: str = "", table: str = "") -> None:
        self.sqlstate = sqlstate
        self.constraint = constraint
        self.table = table
        super().__init__(message)


class UniqueViolation(DatabaseError):
    """A row with this key exists; `constraint` names the index."""


class CheckViolation(DatabaseError):
    """A CHECK of the schema refused the row; `constraint` names it (empty: raised by a trigger)."""


class ForeignKeyViolation(DatabaseError):
    """The row refers to one that does not exist, or is referred to; `constraint` names the rule."""


class NoPartition(CheckViolation):
    """The row is older or newer than every partition of its table."""


class Forbidden(DatabaseError):
    """The role may not do that: privileges and triggers guard the append-only tables."""


class TooOld(Permanent):
    """The message id lies outside the days that the inbox remembers: whether it was handled cannot be known any more."""


# connection, a transaction that was silent too long, resources, shutdown and start-up, system error
_AWAY_CLASSES: Final = ("08", "25P03", "53", "57P", "58")
# asyncpg's words, in errors without a state, for a connection that went away; the last: while its transaction was idle
_GONE: Final = ("closed", "closing", "released back to the pool")


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn whatever asyncpg raises inside into the errors of this module."""
    try:
        yield
    except asyncpg.PostgresError as exc:
        raise _translate(exc) from exc
    except (ConnectionError, asyncpg.InternalClientError) as exc:
        raise DatabaseAway(detail=f"{type(exc).__name__}: {exc}") from exc
    except TimeoutError as exc:
        raise DatabaseAway(detail="no answer in time") from exc
    except OSError as exc:  # after TimeoutError, which is one: unreachable, refused, name not found
        raise DatabaseAway(detail=f"{type(exc).__name__}: {exc.strerror}") from exc
    except asyncpg.DataError as exc:  # an argument does not fit its column; asyncpg says so before anything is sent
        raise DatabaseError(str(exc), sqlstate="22000") from exc
    except asyncpg.InterfaceError as exc:
        if any(word in str(exc) for word in _GONE):
            raise DatabaseAway(detail=str(exc)) from exc
        raise DatabaseError(str(exc)) from exc


def _translate(exc: asyncpg.PostgresError) -> Exception:
    state = exc.sqlstate or ""
    text = str(exc.args[0]) if exc.args else ""  # str(exc) would add DETAIL, which shows the row
    if state.startswith(_AWAY_CLASSES):
        return DatabaseAway(detail=f"{state} {text}")
    if isinstance(exc, asyncpg.InvalidCachedStatementError):  # a migration changed the table under a prepared statement
        return Conflict(detail=text)
    match state:
        case "25006":
            return NotPrimary(detail=text)
        case "40P01":
            return Deadlock(detail=text)
        case "40001":
            return Conflict(detail=text)
        case "55P03" | "57014":
            return LockTimeout(detail=text)
    kind = _kind(state, text)
    return kind(
        text, sqlstate=state, constraint=getattr(exc, "constraint_name", None) or "", table=exc.table_name or ""
    )


def _kind(state: str, message: str) -> type[DatabaseError]:
    match state:
        case "23505":
            return UniqueViolation
        case "23514" if message.startswith("no partition of relation"):
            return NoPartition
        case "23514":
            return CheckViolation
        case "23503":
            return ForeignKeyViolation
        case "42501":
            return Forbidden
        case _:
            return DatabaseError
