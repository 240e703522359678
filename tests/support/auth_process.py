"""What auth is started with as a process of its own."""

from tests.support.auth import PASSWORD_KEYS, RING_TEXT, WEBHOOK_RING_TEXT
from tests.support.servers import TestBroker, TestDatabase
from tests.support.service_process import clean_environment


def environment(database: TestDatabase, broker: TestBroker) -> dict[str, str]:
    """The settings of auth and its command line."""
    return clean_environment() | {
        "FANGATE_ENV": "test",
        "FANGATE_POSTGRES_DSN": database.dsn("auth"),
        "FANGATE_AMQP_URL": broker.url("auth"),
        "FANGATE_KEY_PEPPERS": RING_TEXT,
        "FANGATE_PASSWORD_KEYS": PASSWORD_KEYS,
        "FANGATE_WEBHOOK_KEYS": WEBHOOK_RING_TEXT,
    }
