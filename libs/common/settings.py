"""Settings: from `FANGATE_*` variables, or files named by `FANGATE_*_FILE`, to one frozen struct per service.

For service `billing` and field `postgres_dsn` the first of these wins: `FANGATE_POSTGRES_DSN_BILLING`,
`FANGATE_POSTGRES_DSN_BILLING_FILE`, `FANGATE_POSTGRES_DSN`, `FANGATE_POSTGRES_DSN_FILE`, the field's default.
A variable with our prefix that nobody knows stops the start: a misspelt setting must not be ignored.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

import msgspec

PREFIX: Final = "FANGATE_"
SERVICES: Final = ("edge", "auth", "billing", "sessions", "takedowns", "migrate", "sandbox", "operator")

# Every setting there is. A service's struct picks from these; `docs/operations.md` describes each.
KNOWN: Final = frozenset(
    {
        "ADMIN_HOST", "ADMIN_PORT", "AGENT_ADDRESS", "AGENT_CITY", "AGENT_COUNTRY", "AGENT_EMAIL", "AGENT_NAME", "AGENT_PHONE", "AGENT_STATE", "AMQP_URL", "API_VERSION_DATES", "BUS_REPLY", "CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_URL", "DNS_SERVERS", "DRAIN_SECONDS", "ENV", "FANVUE_API_PREFIX",
        "FANVUE_API_URL", "FANVUE_API_VERSION", "FANVUE_AUTH_URL", "FANVUE_CLIENT_ID", "FANVUE_CLIENT_SECRET", "FANVUE_REDIRECT_URL", "FANVUE_SCOPES", "FORM_KEYS", "HOST",
        "KEY_PEPPERS", "LEASE_FINALISE", "LOG_LEVEL", "LUMEN_API_TOKEN", "LUMEN_API_URL", "MAILBOX_URL", "MAIL_BOUNCE_DOMAIN", "MAIL_REPLY_DOMAIN", "MAIL_TOKEN_KEYS", "MODEL_CALLS_BURST", "MODEL_CALLS_PER_MINUTE",
        "NOTICE_LEGAL_REVIEWED_BY", "NOTICE_MAILS_PER_DAY", "NOTICE_MAIL_DIR", "NOTICE_MODE", "PASSWORD_KEYS", "PAST_DUE_GRACE_HOURS", "PORT", "POSTGRES_DSN", "REDIS_PREFIX", "REDIS_URL", "REPLICAS_EDGE",
        "REQUEST_FENCE_SECONDS", "REQUIRE_HTTPS", "ROUTE_LIMITS", "SANDBOX_CALLS_PER_MINUTE", "SANDBOX_URL", "SESSION_PLATFORM_PATHS",
        "SECURITY_CONTACT", "SESSION_PLATFORM_URL", "SMTP_URL", "TAKEDOWNS_DENIED_HOSTS", "TRUSTED_PROXIES", "UPSTREAM_TIMEOUT_SECONDS", "VAULT_KEYS", "VERIFY_MODE",
        "WEBHOOK_KEYS", "WEBHOOK_LOCAL_RECEIVERS",
        # of the launcher and the demo, met when a service is started by hand from `.run/env`
        "ADMIN_URLS", "API_KEY", "APP_CLIENT_ID", "APP_CLIENT_SECRET", "BASE_URL", "CREATOR_ID", "EDGE_PROCESSES", "LIMITED_API_KEY", "MAIL_DIR", "MANAGEMENT_URL", "MODEL_ACCOUNT",
        "MODEL_ID", "PLATFORM_API_KEY", "REPLICAS", "SANDBOX_API_KEY", "SERVERS", "URL",
        "USER_API_KEY", "USER_EMAIL", "USER_PASSWORD",
    }
)  # fmt: skip

S = TypeVar("S", bound=msgspec.Struct)


class SettingsError(Exception):
    """A setting is missing, misspelt or malformed; the message names it and never shows a value."""


class Secret:
    """A value that never shows itself in a log, a repr or an error; `reveal()` is the one way in."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class CommonSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What every process reads."""

    env: str = "production"  # production | dev | test
    log_level: str = "info"
    admin_host: str = "127.0.0.1"
    admin_port: int = 0  # 0 = any free port
    drain_seconds: float = 25.0  # how long started work may take to finish after SIGTERM


def load(struct: type[S], *, service: str, environ: Mapping[str, str] | None = None) -> S:
    """Read `struct` for `service`. Raises SettingsError naming the variable that is missing, unknown or malformed."""
    env = os.environ if environ is None else environ
    refuse_unknown(env)
    values: dict[str, object] = {}
    for field in msgspec.structs.fields(struct):
        text = _find(field.name.upper(), service, env)
        if text is not None:
            values[field.name] = text
        elif field.required:
            raise SettingsError(f"{PREFIX}{field.name.upper()} is not set (service {service})")
    try:
        return msgspec.convert(values, struct, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as exc:
        raise SettingsError(f"service {service}: {exc} (as {PREFIX}<NAME>)") from None


def refuse_unknown(environ: Mapping[str, str]) -> None:
    """Raise SettingsError for the first `FANGATE_*` variable that no service knows."""
    for variable in sorted(environ):
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX).removesuffix("_FILE")
        if name in KNOWN or any(name.removesuffix(f"_{service.upper()}") in KNOWN for service in SERVICES):
            continue
        raise SettingsError(f"{variable} is not a setting of this program: see docs/operations.md for the list")


def _find(name: str, service: str, env: Mapping[str, str]) -> str | None:
    for variable in (f"{PREFIX}{name}_{service.upper()}", f"{PREFIX}{name}"):
        if variable in env:
            return env[variable]
        if path := env.get(f"{variable}_FILE"):
            try:
                return Path(path).read_text(encoding="utf-8").strip()
            except OSError as exc:
                raise SettingsError(f"{variable}_FILE: cannot read the file ({exc.strerror})") from None
    return None


def _decode(kind: type, value: object) -> object:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError(f"no setting is read as {kind.__name__}")
