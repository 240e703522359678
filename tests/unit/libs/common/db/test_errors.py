"""Whatever asyncpg raises leaves as one of our errors, and no row's values leave with it."""

import asyncpg
import pytest

from libs.common.db import errors
from libs.common.db.errors import translated


def postgres_error(sqlstate: str, message: str = "it happened", **fields: str) -> asyncpg.PostgresError:
    """As asyncpg makes it from what the server sends."""
    codes = {"S": "ERROR", "C": sqlstate, "M": message} | fields
    error = asyncpg.PostgresError.new(codes)
    assert isinstance(error, asyncpg.PostgresError)
    return error


def translation(exc: BaseException) -> BaseException:
    with pytest.raises(BaseException) as caught, translated():
        raise exc
    return caught.value


@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [
        ("08006", errors.DatabaseAway), ("53300", errors.DatabaseAway), ("57P01", errors.DatabaseAway),
        ("57P03", errors.DatabaseAway), ("25006", errors.NotPrimary),
        ("40P01", errors.Deadlock), ("40001", errors.Conflict), ("55P03", errors.LockTimeout), ("57014", errors.LockTimeout),
        ("23505", errors.UniqueViolation), ("23514", errors.CheckViolation), ("23503", errors.ForeignKeyViolation),
        ("42501", errors.Forbidden), ("42P01", errors.DatabaseError), ("22003", errors.DatabaseError),
    ],
)  # fmt: skip
def test_a_state_becomes_our_error(sqlstate: str, kind: type[Exception]) -> None:
    assert type(translation(postgres_error(sqlstate))) is kind


def test_a_violation_names_its_constraint_and_table() -> None:
    error = translation(postgres_error("23505", "duplicate key", n="keys_digest_key", t="keys"))
    assert isinstance(error, errors.UniqueViolation)
    assert (error.constraint, error.table, error.sqlstate) == ("keys_digest_key", "keys", "23505")


def test_a_row_outside_all_partitions_is_its_own_error() -> None:
    error = translation(postgres_error("23514", 'no partition of relation "inbox" found for row'))
    assert isinstance(error, errors.NoPartition)


def test_the_values_of_a_refused_row_are_not_in_the_message() -> None:
    error = translation(postgres_error("23514", "violates check", D="Failing row contains (hunter2)."))
    assert "hunter2" not in str(error)


@pytest.mark.parametrize(
    "exc",
    [
        ConnectionResetError("gone"),
        ConnectionRefusedError(111, "refused"),
        TimeoutError(),
        OSError(113, "no route to host"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InternalClientError("got result for unknown protocol state"),
    ],
)
def test_a_lost_connection_is_a_database_that_is_away(exc: Exception) -> None:
    assert isinstance(translation(exc), errors.DatabaseAway)


def test_an_argument_that_does_not_fit_is_ours() -> None:
    assert type(translation(asyncpg.DataError("invalid input for query argument $1"))) is errors.DatabaseError


def test_what_is_not_the_databases_passes_through() -> None:
    for exc in (ValueError("x"), KeyError("x"), errors.Deadlock()):
        assert translation(exc) is exc
