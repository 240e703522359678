"""What every process of the local stack is told: its own logins, addresses and secrets, and nothing of the others'."""

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from deploy.local.given import VARIABLES

STATEFUL: Final = ("auth", "billing", "sessions")  # those with a schema
SERVICES: Final = ("sandbox", "billing", "auth", "sessions", "edge")  # in the order in which they may start

_INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE")
# The administrator's addresses of given servers; a service gets its own login instead.
_WITHHELD: Final = frozenset({*VARIABLES, "FANGATE_MANAGEMENT_URL", "FANGATE_SERVERS"})


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
    port: int
    sandbox_port: int
    admin_ports: Mapping[str, int]

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"

    def admin_url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.admin_ports[service]}"

    @property
    def admin_urls(self) -> str:
        """`service=url` pairs with commas between them."""
        return ",".join(f"{service}={self.admin_url(service)}" for service in self.admin_ports)

    def of(self, service: str) -> dict[str, str]:
        """The whole environment of one process of `service`."""
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        # What a person set for one run (FANGATE_LOG_LEVEL=debug make run) passes through, under what we set ourselves.
        passed = {k: v for k, v in os.environ.items() if k.startswith("FANGATE_") and k not in _WITHHELD}
        return {**inherited, "PYTHONUNBUFFERED": "1", **passed, **self._settings(service)}

    def _settings(self, service: str) -> dict[str, str]:
        settings = {"FANGATE_ENV": self.env, "FANGATE_ADMIN_PORT": str(self.admin_ports[service])}
        if service != "sandbox":
            settings["FANGATE_AMQP_URL"] = self.amqp_url(service)
        if service in STATEFUL:
            settings["FANGATE_POSTGRES_DSN"] = self.postgres_dsn(service)
        if service in {"edge", "billing"}:
            settings |= {"FANGATE_REDIS_URL": self.redis_url, "FANGATE_REDIS_PREFIX": self.redis_prefix}
        if service in {"edge", "auth"}:
            settings["FANGATE_KEY_PEPPERS"] = self.key_peppers
        if service == "sessions":
            settings |= {"FANGATE_VAULT_KEYS": self.vault_keys, "FANGATE_SANDBOX_URL": self.sandbox_url}
        if service in {"edge", "sandbox"}:
            port = self.port if service == "edge" else self.sandbox_port
            settings |= {f"FANGATE_PORT_{service.upper()}": str(port), "FANGATE_HOST": "127.0.0.1"}
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
            **{f"FANGATE_AMQP_URL_{name.upper()}": self.amqp_url(name) for name in (*STATEFUL, "edge", "operator")},
            "FANGATE_REDIS_URL": self.redis_url,
            "FANGATE_REDIS_PREFIX": self.redis_prefix,
            "FANGATE_KEY_PEPPERS": self.key_peppers,
            "FANGATE_VAULT_KEYS": self.vault_keys,
            "FANGATE_SANDBOX_URL": self.sandbox_url,
            "FANGATE_PORT_EDGE": str(self.port),
            "FANGATE_PORT_SANDBOX": str(self.sandbox_port),
            **{f"FANGATE_ADMIN_PORT_{name.upper()}": str(port) for name, port in self.admin_ports.items()},
        }
        return env_file(lines)


def env_file(lines: Mapping[str, str]) -> str:
    """Text that a shell reads with `.`: one assignment a line, quoted where it must be."""
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in lines.items())


def read_env_file(text: str) -> dict[str, str]:
    """The reverse of `env_file`."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name: "".join(shlex.split(value)) for name, _, value in pairs}
