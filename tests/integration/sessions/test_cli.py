"""The operator's command line on a running service."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from libs.common.db.pool import Database
from libs.common.ids import uuid7
from services.sessions.sandbox.data.account import account_id_of
from tests.support.sandbox import DEMO_EMAIL, Sandbox
from tests.support.servers import TestBroker, TestDatabase
from tests.support.service_process import Operator, ServiceProcess, running_service
from tests.support.sessions import RING
from tests.support.sessions_process import environment

PASSWORD = "sandbox-demo-password"
ORG = uuid7()
CONNECT = f"model connect --org {ORG} --provider sandbox --label demo --email {DEMO_EMAIL} --password-stdin"


@pytest.fixture
def env(database: TestDatabase, broker: TestBroker, sandbox: Sandbox) -> dict[str, str]:
    return environment(database, broker, sandbox)


@pytest.fixture
async def process(env: dict[str, str]) -> AsyncIterator[ServiceProcess]:
    async with running_service("sessions", env) as running:
        yield running


async def test_the_life_of_a_model(process: ServiceProcess, env: dict[str, str], sandbox: Sandbox) -> None:
    operator = Operator("sessions", env)
    made = await operator(CONNECT, f"{PASSWORD}\n")
    assert (made["state"], made["account"]) == ("connected", str(account_id_of(DEMO_EMAIL)))

    again = await operator(CONNECT, f"{PASSWORD}\n")
    assert again == made, "asking twice makes one model"
    listed = await operator(f"model list --org {ORG}")
    assert [model["model_id"] for model in listed["models"]] == [made["model_id"]]

    refreshed = await operator(f"model refresh {made['model_id']}")
    assert refreshed["state"] == "connected"
    assert refreshed["version"] > made["version"]

    gone = await operator(f"model disconnect {made['model_id']}")
    assert gone["state"] == "disconnected"
    assert sandbox.world.calls.auth["auth_logout_ok"] == 1

    async with aiohttp.ClientSession() as http:
        async with http.get(f"http://127.0.0.1:{process.admin_port}/readyz") as ready:
            assert ready.status == 200, await ready.text()
        async with http.get(f"http://127.0.0.1:{process.admin_port}/metrics") as metrics:
            text = await metrics.text()
    for name in ("fangate_models{", "fangate_session_refresh_total{", "fangate_upstream_duration_seconds_bucket{"):
        assert name in text
    await process.end()
    assert PASSWORD not in "".join(process.lines)


async def test_what_is_refused_is_one_line_and_status_2(process: ServiceProcess, env: dict[str, str]) -> None:
    assert process.admin_port
    operator = Operator("sessions", env)
    wrong, none, unknown, missing = await asyncio.gather(
        operator.run(CONNECT, "not-the-password\n"),
        operator.run(CONNECT.replace("demo ", "other "), ""),
        operator.run(f"model refresh {uuid7()}"),
        operator.run(CONNECT.replace("--provider sandbox", "--provider session"), "x\n"),
    )
    for status, out, err in (wrong, none, unknown, missing):
        assert (status, out, err.count("\n")) == (2, "", 1), err
        assert "not-the-password" not in err
    assert "connect_failed" in wrong[2]
    assert "MODEL_NOT_FOUND" in unknown[2]


async def test_keys_of_the_vault_are_rotated(
    process: ServiceProcess, env: dict[str, str], database: TestDatabase
) -> None:
    # given a model under the first key
    operator = Operator("sessions", env)
    made = await operator(CONNECT, f"{PASSWORD}\n")
    await process.end()
    db = await Database.connect(database.dsn("sessions"), schema="sessions", name="test", size_max=1)
    before = await db.fetchrow("SELECT credentials, session FROM vault")
    assert before is not None

    # when a second key becomes active and the first one goes
    both = env | {"FANGATE_VAULT_KEYS": f"k2:{'22' * 32},{RING}"}
    assert await Operator("sessions", both)("vault rewrap") == {"rewrapped": 1}
    assert await Operator("sessions", both)("vault rewrap") == {"rewrapped": 0}
    after = await db.fetchrow("SELECT credentials, session FROM vault")
    await db.close()

    # then the ciphertext is what it was, and the new key alone opens it
    assert after is not None
    for column in ("credentials", "session"):
        assert after[column][:5] == b"v1\x02k2"
        assert after[column][-20:] == before[column][-20:]
    new = env | {"FANGATE_VAULT_KEYS": f"k2:{'22' * 32}"}
    async with running_service("sessions", new):
        refreshed = await Operator("sessions", new)(f"model refresh {made['model_id']}")
    assert refreshed["state"] == "connected"
