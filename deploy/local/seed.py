"""The demo organization: made by the services' own command lines, once per database, and mended where something is gone.

What was made is remembered beside the data (`seed.json`), as soon as it is made; an API key is shown once, so it lives in
`.run/demo.env` and is made again when that file is gone.
"""

import asyncio
import json
import os
import secrets
import uuid
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from deploy.local.children import ChildFailedError
from deploy.local.commands import run_command
from deploy.local.environment import env_file, read_env_file
from deploy.local.profile import Profile, write_private
from deploy.local.takedowns import plant_batch

MEMORY: Final = "seed.json"
DEMO_EMAIL: Final = "demo@sandbox.test"
DEMO_PASSWORD: Final = "sandbox-demo-password"  # noqa: S105 (of the sandbox platform, written in its documentation)
DEMO_REDIRECT: Final = "http://127.0.0.1:49152/callback"  # any port will do there
TOPUP_CREDITS: Final = 10_000
_PROJECTION_LOOKS: Final = 30  # each takes the better part of a second
_LIMITED_ROLE: Final = "no-messages"
_KEYS: Final = {
    "FANGATE_API_KEY": ("owner", "demo"),
    "FANGATE_LIMITED_API_KEY": (_LIMITED_ROLE, "demo, may not send messages"),
    "FANGATE_PLATFORM_API_KEY": ("takedowns", "demo, takedowns"),
}


class Place(Protocol):
    """A running system: its addresses, and its services' command lines."""

    @property
    def base_url(self) -> str: ...
    @property
    def sandbox_url(self) -> str: ...
    @property
    def admin_urls(self) -> str: ...
    @property
    def mail_dir(self) -> str: ...
    async def run(self, service: str, *arguments: str, stdin: str = "") -> dict[str, Any]: ...


class Seed:
    """The demo organization of one database (`database_id` changes when the data are others)."""

    def __init__(self, place: Place, folder: Path, demo_env: Path, database_id: str) -> None:
        self._place, self._memory, self._demo_env = place, folder / MEMORY, demo_env
        kept: dict[str, str] = json.loads(self._memory.read_text(encoding="utf-8")) if self._memory.exists() else {}
        self._made = kept if kept.get("database") == database_id else {"database": database_id}

    async def plant(self) -> dict[str, str]:
        """Make what is missing; write and answer the contents of `.run/demo.env`. Raises ChildFailedError."""
        if "org_id" not in self._made:
            self._remember(org_id=str(uuid.uuid4()))
        if "organization" not in self._made:
            await self._make_organization()
        # Credits and the model meet nowhere: side by side.
        keys, test_key, _, _, _ = await asyncio.gather(
            self._keys(), self._test_key(), self._credits(), self._model(), self._user()
        )
        person = await self._persons()
        # Repeated at every start: known creators and URLs are as they were, and free.
        creator_id = await plant_batch(self._place.base_url, keys["FANGATE_PLATFORM_API_KEY"])
        lines = {
            "FANGATE_URL": self._place.base_url,
            **keys,
            **test_key,
            **person,
            "FANGATE_MODEL_ID": self._made["model_id"],
            "FANGATE_MODEL_ACCOUNT": self._made["account"],
            "FANGATE_CREATOR_ID": creator_id,
            "FANGATE_MAIL_DIR": self._place.mail_dir,
            "FANGATE_SANDBOX_URL": self._place.sandbox_url,
            "FANGATE_ADMIN_URLS": self._place.admin_urls,
        }
        write_private(self._demo_env, env_file(lines))
        return lines

    async def balance(self) -> int:
        """What the ledger says the organization has."""
        return int((await self._run("billing", "balance", "--org", self._made["org_id"]))["balance"])

    async def _make_organization(self) -> None:
        listed = await self._run("auth", "org", "list")
        if self._made["org_id"] not in {each["org_id"] for each in listed["organizations"]}:
            features = ("--enable", "platform")
            await self._run(
                "auth", "org", "create", "--name", "Demo Agency", "--org-id", self._made["org_id"], *features
            )
        self._remember(organization="made")

    async def _credits(self) -> None:
        if "subscription" not in self._made:
            await self._run("billing", "subscription", "start", "--org", self._made["org_id"], "--plan", "scale")
            await self._until_callers_know(self._made["org_id"])
            self._remember(subscription="scale")
        if "topup" not in self._made:
            amount = ("--credits", str(TOPUP_CREDITS), "--kind", "topup", "--memo", "demo")
            await self._run("billing", "grant", "--org", self._made["org_id"], *amount)
            self._remember(topup=str(TOPUP_CREDITS))

    async def _until_callers_know(self, org_id: str) -> None:
        """A plan reaches the side that admits callers as an event: before that, a call would be told that there is none."""
        for _ in range(_PROJECTION_LOOKS):
            shown = await self._run("auth", "org", "show", org_id)
            if shown["subscription"] == "active":
                return
        raise ChildFailedError("the demo's plan did not reach auth; see .run/dev/log/auth.log and billing.log")

    async def _model(self) -> None:
        if "model_id" in self._made:
            return
        login = ("--provider", "sandbox", "--label", "Demo creator", "--email", DEMO_EMAIL, "--password-stdin")
        connected = await self._run(
            "sessions", "model", "connect", "--org", self._made["org_id"], *login, stdin=DEMO_PASSWORD
        )
        self._remember(model_id=str(connected["model_id"]), account=str(connected["account"]))

    async def _keys(self) -> dict[str, str]:
        """Keys that work: those of the file if they are known and active, else fresh ones."""
        if "limited_role" not in self._made:
            roles = await self._run("auth", "role", "list", "--org", self._made["org_id"])
            if _LIMITED_ROLE not in {role["name"] for role in roles["roles"]}:
                excluded = ("--all-but", "api_messages_send")
                await self._run(
                    "auth", "role", "create", "--org", self._made["org_id"], "--name", _LIMITED_ROLE, *excluded
                )
            self._remember(limited_role=_LIMITED_ROLE)
        written = read_env_file(self._demo_env.read_text(encoding="utf-8")) if self._demo_env.exists() else {}
        keys: dict[str, str] = {}
        listed = await self._run("auth", "key", "list", "--org", self._made["org_id"])
        active = {key["key_id"] for key in listed["keys"] if key["state"] == "active"}
        for name, (role, label) in _KEYS.items():
            if name not in written or self._made.get(name) not in active:
                made = await self._run(
                    "auth", "key", "create", "--org", self._made["org_id"], "--role", role, "--label", label
                )
                self._remember(**{name: str(made["key_id"])})
                written[name] = str(made["key"])
            keys[name] = written[name]
        return keys

    async def _test_key(self) -> dict[str, str]:
        """A sandbox key: it belongs to a test organization, which has credits and models of its own."""
        name = "FANGATE_SANDBOX_API_KEY"
        if "test_org_id" not in self._made:
            self._remember(test_org_id=str(uuid.uuid4()))
        org_id = self._made["test_org_id"]
        if "test_organization" not in self._made:
            listed = await self._run("auth", "org", "list")
            if org_id not in {each["org_id"] for each in listed["organizations"]}:
                who = ("--name", "Demo Agency, tests", "--org-id", org_id, "--sandbox")
                await self._run("auth", "org", "create", *who)
            await self._run("billing", "subscription", "start", "--org", org_id, "--plan", "scale")
            await self._until_callers_know(org_id)
            self._remember(test_organization="made")
        written = read_env_file(self._demo_env.read_text(encoding="utf-8")) if self._demo_env.exists() else {}
        if name in written and name in self._made:
            listed = await self._run("auth", "key", "list", "--org", org_id)
            if (self._made[name], "active") in {(key["key_id"], key["state"]) for key in listed["keys"]}:
                return {name: written[name]}
        what = ("--kind", "sandbox", "--role", "owner", "--label", "demo, sandbox")
        made = await self._run("auth", "key", "create", "--org", org_id, *what)
        self._remember(**{name: str(made["key_id"])})
        return {name: str(made["key"])}

    async def _user(self) -> None:
        """Somebody who can sign in, in an organization that may have keys of users and apps."""
        if "user_id" in self._made:
            return
        await self._run("auth", "org", "feature", self._made["org_id"], "--enable", "personal_keys,apps")
        # An address is one user's everywhere: of the data's own, so that two demos on one server do not meet.
        email = f"demo-{self._made['org_id'][:8]}@example.test"
        made = await self._run("auth", "user", "create", "--org", self._made["org_id"], "--email", email)
        self._remember(user_id=str(made["user_id"]), user_email=email)

    async def _persons(self) -> dict[str, str]:
        """The user's password and key, and an app that they answer for: those of the file if they work, else fresh ones."""
        written = read_env_file(self._demo_env.read_text(encoding="utf-8")) if self._demo_env.exists() else {}
        password, key, app = await asyncio.gather(
            self._password(written), self._personal_key(written), self._app(written)
        )
        return {"FANGATE_USER_EMAIL": self._made["user_email"], **password, **key, **app}

    async def _password(self, written: Mapping[str, str]) -> dict[str, str]:
        name = "FANGATE_USER_PASSWORD"
        if name in written and "password" in self._made:
            return {name: written[name]}
        password = secrets.token_urlsafe(12)
        await self._run("auth", "user", "set-password", self._made["user_id"], stdin=password)
        self._remember(password="made")  # noqa: S106 - that it was made, not what it is
        return {name: password}

    async def _personal_key(self, written: Mapping[str, str]) -> dict[str, str]:
        name, org_id = "FANGATE_USER_API_KEY", self._made["org_id"]
        if name in written and name in self._made:
            listed = await self._run("auth", "key", "list", "--org", org_id)
            if (self._made[name], "active") in {(key["key_id"], key["state"]) for key in listed["keys"]}:
                return {name: written[name]}
        whose = ("--org", org_id, "--user", self._made["user_id"], "--model", self._made["model_id"])
        made = await self._run("auth", "personal-key", "create", *whose)
        self._remember(**{name: str(made["key_id"])})
        return {name: str(made["key"])}

    async def _app(self, written: Mapping[str, str]) -> dict[str, str]:
        id_name, secret_name = "FANGATE_APP_CLIENT_ID", "FANGATE_APP_CLIENT_SECRET"
        listed = await self._run("auth", "app", "list", "--org", self._made["org_id"])
        is_there = self._made.get(id_name) in {app["app_id"] for app in listed["apps"] if app["state"] == "active"}
        if is_there and secret_name in written:
            return {id_name: self._made[id_name], secret_name: written[secret_name]}
        if is_there:
            made = await self._run("auth", "app", "rotate-secret", self._made[id_name])
        else:
            what = ("--user", self._made["user_id"], "--name", "Demo app", "--redirect", DEMO_REDIRECT)
            made = await self._run("auth", "app", "create", "--org", self._made["org_id"], *what)
            self._remember(**{id_name: str(made["client_id"])})
        return {id_name: self._made[id_name], secret_name: str(made["client_secret"])}

    def _remember(self, **facts: str) -> None:
        self._made.update(facts)
        write_private(self._memory, json.dumps(self._made, indent=1))

    async def _run(self, service: str, *arguments: str, stdin: str = "") -> dict[str, Any]:
        return await self._place.run(service, *arguments, stdin=stdin)


def balance_of_running(profile: Profile) -> Callable[[], Awaitable[int]]:
    """What asks the running system's ledger for the demo organization's balance."""
    env = {**os.environ, **read_env_file((profile.run / "env").read_text(encoding="utf-8"))}
    org_id = json.loads((profile.folder / MEMORY).read_text(encoding="utf-8"))["org_id"]

    async def balance() -> int:
        return int((await run_command("billing", "balance", "--org", org_id, env=env))["balance"])

    return balance
