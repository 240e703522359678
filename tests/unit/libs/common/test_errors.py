"""The error tree: what is shown, what is logged, what the bus makes of it."""

from libs.common.db.errors import CommitUnknown, Conflict, DatabaseAway
from libs.common.errors import (
    DeadlinePassed,
    FangateError,
    Permanent,
    Refused,
    RetryAfter,
    RpcError,
    Transient,
    Unavailable,
    Unconfirmed,
)
from libs.common.redis.client import RedisAway, RedisUnreached, StoreReadonly


def test_the_public_sentence_is_the_first_line_of_the_class_docstring() -> None:
    class ModelAsleep(FangateError):
        """The model sleeps.

        This is for developers.
        """

        code = "MODEL_ASLEEP"

    assert ModelAsleep().public == "The model sleeps"
    assert ModelAsleep("Wake it first.").public == "Wake it first."


def test_the_detail_is_for_logs_and_never_public() -> None:
    error = FangateError("Sorry.", detail="table users, host db7")
    assert error.public == "Sorry."
    assert "db7" in str(error)
    assert error.args == ("Sorry.",)


def test_fields_carry_the_facts_of_an_answer() -> None:
    assert FangateError(required=3, balance=2).fields == {"required": 3, "balance": 2}
    assert FangateError().fields == {}


def test_an_rpc_error_speaks_with_the_code_of_the_other_service() -> None:
    error = RpcError("INSUFFICIENT_CREDITS", "Too few credits.", required=2)
    assert (error.code, error.public, error.fields) == ("INSUFFICIENT_CREDITS", "Too few credits.", {"required": 2})
    assert RpcError("OTHER").code == "OTHER"
    assert FangateError.code == "INTERNAL_ERROR"


def test_retry_after_is_transient_and_permanent_is_not() -> None:
    assert RetryAfter(30).seconds == 30
    assert isinstance(RetryAfter(30), Transient)
    assert not issubclass(Permanent, Transient)
    assert "30" in str(RetryAfter(30))


def test_what_passes_by_itself_answers_503_with_a_wait() -> None:
    for error in (Unavailable(), Refused(), Unconfirmed(detail="x"), DatabaseAway(detail="x"), RedisAway()):
        assert (error.status_hint, error.code, error.retry_after_s) == (503, "UNAVAILABLE", 1)
    assert DeadlinePassed().status_hint == 504


def test_a_lost_database_is_tried_again_by_jobs_and_answered_503_by_rpcs() -> None:
    for kind in (DatabaseAway, CommitUnknown, Conflict):
        assert issubclass(kind, Transient)
        assert issubclass(kind, Unavailable)


def test_a_redis_that_was_not_asked_is_told_from_one_that_did_not_answer() -> None:
    assert issubclass(RedisUnreached, RedisAway)
    assert issubclass(StoreReadonly, RedisUnreached)
    assert not issubclass(RedisAway, RedisUnreached)
