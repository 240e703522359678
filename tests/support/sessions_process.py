"""What sessions is started with as a process of its own."""

from tests.support.sandbox import CLIENT, Sandbox
from tests.support.servers import TestBroker, TestDatabase
from tests.support.service_process import clean_environment
from tests.support.sessions import FORM_KEYS, RING


def environment(database: TestDatabase, broker: TestBroker, sandbox: Sandbox) -> dict[str, str]:
    """The settings of sessions and its command line."""
    return clean_environment() | {
        "FANGATE_ENV": "test",
        "FANGATE_POSTGRES_DSN": database.dsn("sessions"),
        "FANGATE_AMQP_URL": broker.url("sessions"),
        "FANGATE_VAULT_KEYS": RING,
        "FANGATE_FORM_KEYS": FORM_KEYS,
        "FANGATE_SANDBOX_URL": sandbox.url,
        "FANGATE_FANVUE_AUTH_URL": sandbox.url,
        "FANGATE_FANVUE_API_URL": sandbox.url,
        "FANGATE_FANVUE_CLIENT_ID": CLIENT.client_id,
        "FANGATE_FANVUE_CLIENT_SECRET": CLIENT.client_secret,
        "FANGATE_FANVUE_REDIRECT_URL": CLIENT.redirect_url,
    }
