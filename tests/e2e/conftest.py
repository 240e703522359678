"""The tests of the whole system come from one address."""

import pytest
import redis

from libs.common.redis import keys
from tests.support.stack import Stack

SCOPES = ("", "client-", "connect-", "consent-", "sign-in-")  # of failures, in `services/edge/app.py`


@pytest.fixture(autouse=True)
def forgiven(request: pytest.FixtureRequest) -> None:
    """What others got wrong within the last minute is forgotten: together they would be taken for somebody who guesses."""
    if "stack" not in request.fixturenames:
        return
    stack: Stack = request.getfixturevalue("stack")
    prefix = stack.env.get("FANGATE_REDIS_PREFIX", "")
    with redis.Redis.from_url(stack.env["FANGATE_REDIS_URL"]) as client:
        client.delete(*(keys.failures(f"{scope}127.0.0.1", prefix=prefix) for scope in SCOPES))
