"""What every process of the local stack is told: its own logins, addresses and secrets, and nothing of the others'."""

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from deploy.local.given import VARIABLES
from deploy.local.operators import run_at_desk

STATEFUL: Final = ("auth", "billing", "edge", "sessions", "takedowns")  # those with a schema
SERVICES: Final = ("sandbox", "billing", "auth", "sessions", "takedowns", "edge")  # the order in which they may start

_INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE")
# The administrator's addresses of given servers; a service gets its own login instead.
_WITHHELD: Final = frozenset({*VARIABLES, "FANGATE_MANAGEMENT_URL", "FANGATE_SERVERS"})

_PASSED: Final = ("FANGATE_", "OTEL_", "SENTRY_")

_REPLICAS_MAX: Final = 8


class SettingError(Exception):
    """A setting of the launcher makes no sense; the message names it."""


def instances(environ: Mapping[str, str]) -> list[str]:
    """The processes to start, in order: `sessions`, and `sessions-2` where `FANGATE_REPLICAS_SESSIONS` says 2, and so on.

    Edges beside each other (`FANGATE_EDGE_PROCESSES`) share the public port. Raises SettingError.
    """
    names: list[str] = []
    for service in SERVICES:
        variable = "FANGATE_EDGE_PROCESSES" if service == "edge" else f"FANGATE_REPLICAS_{service.upper()}"
        count = 1 if service == "sandbox" else number(environ, variable, default=1, largest=_REPLICAS_MAX)
        names += [service if number == 1 else f"{service}-{number}" for number in range(1, count + 1)]
    return names


def number(environ: Mapping[str, str], variable: str, *, default: int, largest: int) -> int:
    """A setting of the launcher, from 1 to `largest`. Raises SettingError naming it."""
    text = environ.get(variable, str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= largest:
        raise SettingError(f"{variable}: expected a number from 1 to {largest}")
    return int(text)


def service_of(instance: str) -> str:
    """`sessions` of `sessions-2`."""
    return instance.partition("-")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The settings of one stack. `postgres_dsn` and `amqp_url` answer a service's own login."""

    env: str  # dev | test
    postgres_dsn: Callable[[str], str]
    amqp_url: Callable[[str], str]
    redis_url: str
    redis_prefix: str
    key_peppers: str
    vault_keys: str
    form_keys: str
    password_keys: str
    webhook_keys: str
    mail_dir: str  # where notices lie instead of being mailed
    fanvue_client: tuple[str, str]  # id and secret of the app that is registered at the sandbox
    port: int
    sandbox_port: int
    admin_ports: Mapping[str, int]

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def session_platform_url(self) -> str:
        """The platform behind provider `session`: a person's own, else the sandbox, so that links can be tried out."""
        return os.environ.get("FANGATE_SESSION_PLATFORM_URL", self.sandbox_url)

    def fanvue_app(self) -> dict[str, str]:
        """What provider `fanvue` and the sandbox say of each other; nothing where a person set up an app of their own."""
        if "FANGATE_FANVUE_CLIENT_ID" in os.environ:
            return {}
        client_id, client_secret = self.fanvue_client
        return {
            "FANGATE_FANVUE_CLIENT_ID": client_id,
            "FANGATE_FANVUE_CLIENT_SECRET": client_secret,
            "FANGATE_FANVUE_REDIRECT_URL": f"{self.base_url}/connect/fanvue/callback",
            "FANGATE_FANVUE_AUTH_URL": self.sandbox_url,
            "FANGATE_FANVUE_API_URL": self.sandbox_url,
        }

    def admin_url(self, instance: str) -> str:
        return f"http://127.0.0.1:{self.admin_ports[instance]}"

    @property
    def admin_urls(self) -> str:
        """`service=url` pairs with commas between them."""
        return ",".join(f"{instance}={self.admin_url(instance)}" for instance in self.admin_ports)

    def of(self, instance: str) -> dict[str, str]:
        """The whole environment of one process."""
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        # What a person set for one run (FANGATE_LOG_LEVEL=debug make run) passes through, under what we set ourselves.
        passed = {k: v for k, v in os.environ.items() if k.startswith(_PASSED) and k not in _WITHHELD}
        return {**inherited, "PYTHONUNBUFFERED": "1", **passed, **self._settings(instance)}

    async def run(self, service: str, *arguments: str, stdin: str = "") -> dict[str, Any]:
        """A service's command line, with that service's settings; the object it prints. Raises ChildFailedError."""
        return await run_at_desk(service, *arguments, env=self.of(service), stdin=stdin)

    def _settings(self, instance: str) -> dict[str, str]:
        service = service_of(instance)
        settings = {"FANGATE_ENV": self.env, "FANGATE_ADMIN_PORT": str(self.admin_ports[instance])}
        if service != "sandbox":
            settings["FANGATE_AMQP_URL"] = self.amqp_url(service)
        if service in STATEFUL:
            settings["FANGATE_POSTGRES_DSN"] = self.postgres_dsn(service)
        if service in {"edge", "billing"}:
            settings |= {"FANGATE_REDIS_URL": self.redis_url, "FANGATE_REDIS_PREFIX": self.redis_prefix}
        if service in {"edge", "auth"}:
            settings["FANGATE_KEY_PEPPERS"] = self.key_peppers
        own = {
            "auth": {"FANGATE_PASSWORD_KEYS": self.password_keys, "FANGATE_WEBHOOK_KEYS": self.webhook_keys},
            "sandbox": self.fanvue_app(),
            "sessions": {
                "FANGATE_VAULT_KEYS": self.vault_keys,
                "FANGATE_FORM_KEYS": self.form_keys,
                "FANGATE_SANDBOX_URL": self.sandbox_url,
                "FANGATE_SESSION_PLATFORM_URL": self.session_platform_url,
                **self.fanvue_app(),
            },
            "takedowns": {"FANGATE_NOTICE_MAIL_DIR": self.mail_dir},
        }
        settings |= own.get(service, {})
        if service in {"edge", "sandbox"}:
            port = self.port if service == "edge" else self.sandbox_port
            settings |= {f"FANGATE_PORT_{service.upper()}": str(port), "FANGATE_HOST": "127.0.0.1"}
        if service == "edge":
            settings["FANGATE_REPLICAS_EDGE"] = str(sum(service_of(name) == "edge" for name in self.admin_ports))
        return settings

    def for_migration(self, owner_dsn: str) -> dict[str, str]:
        """The environment of the migration program: an owner's DSN, and the logins whose passwords it sets."""
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        logins = {f"FANGATE_POSTGRES_DSN_{service.upper()}": self.postgres_dsn(service) for service in STATEFUL}
        return {**inherited, **logins, "FANGATE_POSTGRES_DSN_MIGRATE": owner_dsn}

    def text(self, owner_dsn: str) -> str:
        """`.run/env`: everything, so that any service can be started by hand after `set -a; . .run/env; set +a`."""
        lines = {
            "FANGATE_ENV": self.env,
            "FANGATE_BASE_URL": self.base_url,
            "FANGATE_POSTGRES_DSN_MIGRATE": owner_dsn,
            **{f"FANGATE_POSTGRES_DSN_{service.upper()}": self.postgres_dsn(service) for service in STATEFUL},
            **{f"FANGATE_AMQP_URL_{name.upper()}": self.amqp_url(name) for name in (*STATEFUL, "operator")},
            "FANGATE_REDIS_URL": self.redis_url,
            "FANGATE_REDIS_PREFIX": self.redis_prefix,
            "FANGATE_KEY_PEPPERS": self.key_peppers,
            "FANGATE_VAULT_KEYS": self.vault_keys,
            "FANGATE_FORM_KEYS": self.form_keys,
            "FANGATE_PASSWORD_KEYS": self.password_keys,
            "FANGATE_WEBHOOK_KEYS": self.webhook_keys,
            "FANGATE_SANDBOX_URL": self.sandbox_url,
            "FANGATE_SESSION_PLATFORM_URL": self.session_platform_url,
            **self.fanvue_app(),
            "FANGATE_PORT_EDGE": str(self.port),
            "FANGATE_PORT_SANDBOX": str(self.sandbox_port),
            **{f"FANGATE_ADMIN_PORT_{name.upper()}": str(self.admin_ports[name]) for name in SERVICES},
        }
        return env_file(lines)


def env_file(lines: Mapping[str, str]) -> str:
    """Text that a shell reads with `.`: one assignment a line, quoted where it must be."""
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in lines.items())


def read_env_file(text: str) -> dict[str, str]:
    """The reverse of `env_file`."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name: "".join(shlex.split(value)) for name, _, value in pairs}
