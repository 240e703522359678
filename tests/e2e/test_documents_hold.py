"""Every answer is as the documents say: requests generated from both of them, asked of the whole system.

The short form is part of every run; `make fuzz CASES=10000` asks more.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from libs.common.contracts.catalogue import catalogue
from services.edge.domain.own.platform import EXAMPLE_ID
from services.edge.entry.surface import Surface
from services.edge.entry.surfaces import SURFACES
from tests.support.conformance import Values, Verdict, conforms
from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack

SEED = int(os.environ.get("FUZZ_SEED", "20250626"))
CASES = int(os.environ.get("FUZZ_CASES", "0"))  # random requests in all; 0 = a few for each operation
OPERATIONS = 150  # in all documents, about
DOCUMENTS = Path(__file__).resolve().parents[2] / "docs/openapi"
SPARE = 3  # of what a run may delete
BORDER_SECONDS = 900

pytestmark = pytest.mark.timeout(BORDER_SECONDS + CASES)

LEAK_HOST = "leak-forum.net"
ON_THE_PLATFORM = {
    "path.fan_id": ["1001", "1002", "1003"], "path.creator_user_id": ["1001"], "path.message_id": ["1001"],
    "path.post_id": ["1001", "1002"], "path.list_id": ["1001", "1002"], "path.link_id": ["1001", "1002"],
    "path.mass_message_id": ["1001", "1002"], "path.upload_id": ["upload-1"], "path.part": ["1", "2"],
    "body.role": ["read_only", "messaging"], "body.provider": ["sandbox", "session"],
}  # fmt: skip


async def made(client: GatewayClient, path: str, *names: str, **body: Any) -> str:
    answer = await client.ask("POST", path, **body)
    assert answer.status == 201, answer.body
    data = answer.json["data"]
    for name in names:
        data = data[name]
    return str(data)


async def spares(client: GatewayClient, receiver_url: str, developer: str) -> dict[str, list[str]]:
    """Things that may be changed and ended."""
    hooks = [await made(client, "/webhooks", "webhook", "webhook_id", url=receiver_url) for _ in range(SPARE)]
    keys = [await made(client, "/keys", "key", "key_id", label=f"spare {n}", role="read_only") for n in range(SPARE)]
    model = {"label": "spare", "provider": "session"}
    models = [await made(client, "/models", "model", "model_id", **model | {"label": f"m {n}"}) for n in range(SPARE)]
    roles = [
        await made(client, "/roles", "role_id", name=f"spare {n}", permissions=["api_self_read"]) for n in range(SPARE)
    ]
    user = {"role": "read_only"}
    users = [
        await made(client, "/organization/users", "user", "user_id", **user | {"email": f"spare-{n}@example.com"})
        for n in range(SPARE)
    ]
    app: dict[str, Any] = {"owner_id": developer, "redirect_uris": ["http://127.0.0.1/back"]}
    apps = [await made(client, "/apps", "app", "app_id", name=f"spare {n}", **app) for n in range(SPARE)]
    return {
        "key_id": keys, "model_id": models, "role_id": roles, "user_id": users, "webhook_id": hooks, "app_id": apps,
    }  # fmt: skip


def for_themselves(spare: dict[str, list[str]]) -> dict[str, Values]:
    """Operations that end things get one each, and never the model and the key that all others need."""
    ends = {
        "keys_read": ("key_id", 0), "keys_update": ("key_id", 0), "keys_rotate": ("key_id", 1), "keys_revoke": ("key_id", 2),
        "models_submit_code": ("model_id", 0), "models_reconnect": ("model_id", 0), "models_disconnect": ("model_id", 1),
        "models_delete": ("model_id", 2), "roles_update": ("role_id", 0), "roles_delete": ("role_id", 1),
        "organization_users_update": ("user_id", 0), "organization_users_remove": ("user_id", 1),
        "webhooks_read": ("webhook_id", 0), "webhooks_update": ("webhook_id", 0), "webhooks_test": ("webhook_id", 1),
        "webhooks_rotate_secret": ("webhook_id", 1), "webhooks_list_deliveries": ("webhook_id", 1),
        "webhooks_delete": ("webhook_id", 2),
        "apps_read": ("app_id", 0), "apps_update": ("app_id", 0), "apps_verify_domain": ("app_id", 0),
        "apps_rotate_secret": ("app_id", 1), "apps_delete": ("app_id", 2),
    }  # fmt: skip
    return {operation: {f"path.{name}": [spare[name][n]]} for operation, (name, n) in ends.items()}


async def creators_and_a_batch(client: GatewayClient) -> tuple[dict[str, list[str]], dict[str, Values]]:
    """Takedowns: one creator for all operations, one that may be changed, one that may be deleted; a batch of two URLs, one of
    which may be cancelled.
    """
    platform = "/api/platforms"
    links = [{"platform": "onlyfans", "handle": "a"}]
    creators = [{"stage_name": f"c{n}", "email": f"c{n}@example.com", "official_links": links} for n in range(3)]
    answer = await client.call("POST", f"{platform}/submit-creators", body=json.dumps({"creators": creators}).encode())
    assert answer.status == 201, answer.body
    ids = [one["id"] for one in (await client.call("GET", f"{platform}/creators")).json["creators"]]
    body = {"groups": [{"creator_id": ids[0], "urls": [f"https://{LEAK_HOST}/{n}" for n in range(2)]}]}
    batch = (await client.call("POST", f"{platform}/submit-urls", body=json.dumps(body).encode())).json["batchId"]
    answer = await client.call("GET", f"{platform}/takedowns?batch_id={batch}")
    takedowns = [one["id"] for one in answer.json["takedowns"]]
    known = {
        "path.creator_id": ids[:1], "path.batch_id": [batch], "path.takedown_id": takedowns[:1], "path.host": [LEAK_HOST],
        "query.creator_id": ids[:1], "query.batch_id": [batch], "query.month": [datetime.now(UTC).strftime("%Y-%m")],
    }  # fmt: skip
    return known, {
        "creators_update": {"path.creator_id": ids[1:2]}, "creators_delete": {"path.creator_id": ids[2:]},
        "takedowns_cancel": {"path.takedown_id": takedowns[1:]},
    }  # fmt: skip


async def key_for(stack: Stack, organization: Organization, surface: Surface) -> str:
    """An owner's key; where no path names a model, one that is bound to it."""
    if not any(route.model_is_keys for route in surface.routes()):
        return organization.key
    create = ("key", "create", "--org", organization.org_id, "--role", "owner", "--label", "bound")
    return str((await stack.cli("auth", *create, "--model", organization.model_id))["key"])


@pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)
async def test_R067_every_answer_is_as_the_document_says(stack: Stack, tmp_path: Path, surface: Surface) -> None:
    # given an organization that no limit stops
    organization = await stack.an_organization(credits=10_000_000, per_minute=10_000_000)
    text = (DOCUMENTS / f"{surface.name}.json").read_text(encoding="utf-8")
    receiver_url = f"http://{stack.env['FANGATE_WEBHOOK_LOCAL_RECEIVERS']}/"  # nobody is there: that is no matter
    await stack.cli("auth", "org", "feature", organization.org_id, "--enable", "apps")
    user = ("--org", organization.org_id, "--email", f"{surface.name}@dev.example.com", "--role", "developer")
    developer = (await stack.cli("auth", "user", "create", *user))["user_id"]
    async with GatewayClient(stack.url, organization.key) as client:
        known, own = await creators_and_a_batch(client)
        always = {"platform": own}.get(surface.name, {})
        if surface.name == "gateway":
            always = own | for_themselves(await spares(client, receiver_url, developer))
    document = json.loads(text.replace(EXAMPLE_ID, known["path.creator_id"][0]))

    # when everything is asked that the document allows, and everything that it does not
    verdict = await conforms(
        document,
        stack.url,
        headers={surface.key_headers[0]: await key_for(stack, organization, surface)},
        values={
            "path.model_id": [organization.model_id],
            "path.account": [organization.model_id, organization.account],
            "body.owner_id": [developer],
            **ON_THE_PLATFORM,
            **known,
        },
        always=always,
        examples=max(2, -(-CASES // OPERATIONS)),
        seed=SEED,
        folder=tmp_path,
    )

    # then nothing surprised, the run reached what it was after, and the money is right
    print(f"\n{surface.name}: {verdict.cases} cases, statuses {verdict.statuses}")  # noqa: T201 - the figures of the run
    assert verdict.is_clean, verdict.said
    assert verdict.cases >= CASES // len(SURFACES)
    check_reach(verdict)
    await check_aftermath(stack, organization)


# What no generated request can have carried out, and why; each has tests of its own in `tests/e2e`.
OUT_OF_REACH = {
    "/notices/": "a notice is written minutes after its URL was taken",
    "/filed": "likewise",
    "/recheck": "a URL that nobody has asked about yet is not checked",
    "/personal-key": "only a user's own key has one",
    "/grants/": "a grant is given on a page, by who is signed in",
    "/replay": "what a receiver that is not there was sent is pending for hours",
}


def check_reach(verdict: Verdict) -> None:
    """Most operations were carried out, not only refused."""
    missed = {
        operation
        for operation in verdict.operations - verdict.carried_out
        if not any(part in operation for part in OUT_OF_REACH)
    }
    assert len(missed) < len(verdict.operations) / 10, missed
    assert not any(status >= 500 for status in verdict.statuses)


async def check_aftermath(stack: Stack, organization: Organization) -> None:
    """Key and model live, a call is answered and paid, and the books add up."""
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.get(organization.model_id, "/chats")
    assert answer.status == 200, answer.body
    assert answer.used == catalogue()["chats_list"].credits
    assert await stack.ledger_is_sound(organization)
