"""Users with keys of their own in the running system, and an edge with settings of its own beside the system's."""

import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

from deploy.local import ports
from tests.support.edge_process import EdgeProcess
from tests.support.service_process import clean_environment
from tests.support.stack import Organization, Stack


async def a_user(stack: Stack, organization: Organization) -> str:
    """An active user of an organization that may have personal keys; the user's id."""
    await stack.cli("auth", "org", "feature", organization.org_id, "--enable", "personal_keys")
    email = f"{uuid.uuid4().hex[:12]}@example.test"
    made = await stack.cli("auth", "user", "create", "--org", organization.org_id, "--email", email)
    return str(made["user_id"])


async def a_personal_key(stack: Stack, organization: Organization, user_id: str = "", *options: str) -> dict[str, Any]:
    """A key of `user_id` (or of somebody new), bound to the organization's model: `key_id`, `key`, `scopes`."""
    user_id = user_id or await a_user(stack, organization)
    who = ("--org", organization.org_id, "--user", user_id, "--model", organization.model_id)
    return await stack.cli("auth", "personal-key", "create", *who, *options)


@contextlib.asynccontextmanager
async def an_edge_beside(stack: Stack, **settings: str) -> AsyncIterator[str]:
    """One more edge of the running system, with these `FANGATE_*` settings; its URL."""
    (port,) = ports.pick(1)
    own = {name: value for name, value in stack.env.items() if "_PORT" not in name}
    env = clean_environment() | own | {"FANGATE_PORT": str(port), "FANGATE_ADMIN_PORT": "0"} | settings
    process = await EdgeProcess.start("edge", env)
    try:
        await process.until_ready()
        yield f"http://127.0.0.1:{port}"
    finally:
        await process.end()
