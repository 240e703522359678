"""What the containers must not find in their environment: made once, kept in `.run/compose/secrets`, one file each.

The folder is its owner's only; the files in it are readable, because each is mounted by itself into containers that run
as another user.
"""

import json
import os
from pathlib import Path
from typing import Any, Final

from deploy.local.profile import Profile, write_private
from deploy.system import SERVICES
from libs.common.bus.topology import USERS, definitions

OWNER: Final = "fangate"
_ADMIN: Final = "admin"  # of the broker
_RINGS: Final = ("key_peppers", "vault_keys", "form_keys", "password_keys", "webhook_keys")
_VHOST: Final = "/"


def prepare(profile: Profile) -> Path:
    """Write every secret that is not there yet; answers their folder."""
    folder = profile.folder / "secrets"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    for name, text in contents(profile).items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_private(path, text)
            path.chmod(0o444)
    return folder


def contents(profile: Profile) -> dict[str, str]:
    """Name -> text of all of them, the same every time for one profile."""
    owner = profile.secret("postgres_password", bytes_count=16)
    found = {
        "postgres_password": owner,
        "postgres_dsn_migrate": f"postgresql://{OWNER}:{owner}@postgres:5432/{OWNER}",
        "redis_url": "redis://redis:6379/0",
        "grafana_password": profile.secret("grafana_password", bytes_count=16),
        **{ring: f"compose:{profile.secret(ring)}" for ring in _RINGS},
        "fanvue_client_secret": os.environ.get(
            "FANGATE_FANVUE_CLIENT_SECRET", ""
        ),  # of the operator's own app, if there is one
    }
    for service in SERVICES:
        if "POSTGRES_DSN" in service.secrets:
            password = profile.secret(f"postgres_{service.name}", bytes_count=16)
            found[f"postgres_dsn_{service.name}"] = f"postgresql://{service.name}_app:{password}@postgres:5432/{OWNER}"
        found[f"amqp_url_{service.name}"] = f"amqp://{service.name}:{_broker(profile, service.name)}@rabbitmq:5672/%2F"
    found["rabbitmq_definitions"] = _definitions(profile)
    return found


def _broker(profile: Profile, user: str) -> str:
    return profile.secret(f"rabbitmq_{user}", bytes_count=16)


def _definitions(profile: Profile) -> str:
    """The topology with its logins, and an administrator for the management pages. Hashes are salted: kept once made."""
    path = profile.folder / "secrets" / "rabbitmq_definitions"
    wanted = definitions(_VHOST, users={name: _broker(profile, name) for name in USERS})
    admin = definitions(_VHOST, users={"operator": _broker(profile, _ADMIN)})
    wanted["users"].append({**admin["users"][0], "name": _ADMIN, "tags": "administrator"})
    wanted["permissions"].append({"user": _ADMIN, "vhost": _VHOST, "configure": ".*", "write": ".*", "read": ".*"})
    if path.exists():
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if {**kept, "users": []} == {**wanted, "users": []} and _names(kept) == _names(wanted):
            return path.read_text(encoding="utf-8")
    return json.dumps(wanted, indent=1)


def _names(document: dict[str, Any]) -> list[str]:
    return [user["name"] for user in document["users"]]
