"""What billing is started with as a process of its own, and its command line."""

import json
from typing import Any

from tests.support.servers import TestBroker, TestDatabase
from tests.support.service_process import Operator, clean_environment


def environment(database: TestDatabase, broker: TestBroker, redis_url: str) -> dict[str, str]:
    """The settings of billing and its command line."""
    return clean_environment() | {
        "FANGATE_ENV": "test",
        "FANGATE_POSTGRES_DSN": database.dsn("billing"),
        "FANGATE_AMQP_URL": broker.url("billing"),
        "FANGATE_REDIS_URL": redis_url,
    }


async def command(env: dict[str, str], *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Run a command of the operator: exit status, the object it printed, standard error."""
    status, out, err = await Operator("billing", env).run(arguments)
    return status, json.loads(out) if out else {}, err
