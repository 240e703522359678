"""The settings of sessions, read from `FANGATE_*` (docs/operations.md)."""

import re
from typing import Final
from urllib.parse import urlsplit

from libs.common.sealing import FormKeys
from libs.common.settings import Secret, SettingsError
from libs.common.vault import Vault
from libs.common.worker import WorkerSettings
from services.sessions.domain.pace import Rate
from services.sessions.gateways.providers.dialect import Dialect, parse_dialect
from services.sessions.gateways.providers.fanvue import FanvueApp, asked_scopes

CALLBACK_PATH: Final = "/connect/fanvue/callback"  # where the edge takes browsers that come back
_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
_VERSION: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class SessionsSettings(WorkerSettings, frozen=True, kw_only=True):
    """What sessions reads beside what every worker does."""

    vault_keys: Secret  # name:hex64,… - the key ring of the vault, active first
    form_keys: Secret  # name:hex64,… - private keys that users' forms are sealed to, active first
    sandbox_url: str = ""  # empty = no provider `sandbox`
    session_platform_url: str = ""  # empty = no provider `session`
    session_platform_paths: str = ""  # JSON, see gateways/providers/dialect.py
    fanvue_client_id: str = ""  # empty = no provider `fanvue`
    fanvue_client_secret: Secret = Secret("")
    fanvue_redirect_url: str = (
        ""  # FANGATE_BASE_URL of the edge and /connect/fanvue/callback, as registered at the platform
    )
    fanvue_auth_url: str = "https://auth.fanvue.com"
    fanvue_api_url: str = "https://api.fanvue.com"
    fanvue_api_prefix: str = ""
    fanvue_api_version: str = "2025-06-26"
    fanvue_scopes: str = ""  # of those that the catalogue's calls need, spaces between them; empty = all
    upstream_timeout_seconds: float = 30.0
    model_calls_per_minute: int = 300  # to one account of a platform, from all processes; 0 = no limit
    model_calls_burst: int = 30
    sandbox_calls_per_minute: int = 0
    replicas_sessions: int = 1  # processes: each keeps its share of the pace

    def vault(self) -> Vault:
        """The vault of FANGATE_VAULT_KEYS. Raises SettingsError, which shows no key."""
        try:
            return Vault.parse(self.vault_keys.reveal())
        except ValueError as exc:
            raise SettingsError(f"FANGATE_VAULT_KEYS: {exc}") from None

    def forms(self) -> FormKeys:
        """The keys of FANGATE_FORM_KEYS. Raises SettingsError, which shows no key."""
        try:
            return FormKeys.parse(self.form_keys.reveal())
        except ValueError as exc:
            raise SettingsError(f"FANGATE_FORM_KEYS: {exc}") from None

    def paces(self) -> dict[str, Rate]:
        """The share of each provider's pace that this process keeps. Raises SettingsError for a negative one."""
        per_minute = {
            "fanvue": self.model_calls_per_minute,
            "session": self.model_calls_per_minute,
            "sandbox": self.sandbox_calls_per_minute,
        }
        if min(*per_minute.values(), self.model_calls_burst - 1, self.replicas_sessions - 1) < 0:
            raise SettingsError("calls per minute: 0 or more; burst and replicas_sessions: 1 or more")
        return {
            provider: Rate(
                -(-calls // self.replicas_sessions), max(1, self.model_calls_burst // self.replicas_sessions)
            )
            for provider, calls in per_minute.items()
        }

    def fanvue(self) -> FanvueApp | None:
        """Our app at the platform, or None where it is not set up. Raises SettingsError for what cannot work."""
        if not self.fanvue_client_id:
            return None
        if not self.fanvue_client_secret:
            raise SettingsError("FANGATE_FANVUE_CLIENT_SECRET is not set, but FANGATE_FANVUE_CLIENT_ID is")
        for name in ("fanvue_redirect_url", "fanvue_auth_url", "fanvue_api_url"):
            _check_url(name, getattr(self, name), is_plain_fine=self.env in {"dev", "test"})
        if not self.fanvue_redirect_url.endswith(CALLBACK_PATH):
            raise SettingsError(f"FANGATE_FANVUE_REDIRECT_URL: must end in {CALLBACK_PATH}")
        if self.fanvue_api_prefix and not _PREFIX.fullmatch(self.fanvue_api_prefix):
            raise SettingsError("FANGATE_FANVUE_API_PREFIX: a path such as /v1 is expected")
        if not _VERSION.fullmatch(self.fanvue_api_version):
            raise SettingsError("FANGATE_FANVUE_API_VERSION: a date such as 2025-06-26 is expected")
        return FanvueApp(
            auth_url=self.fanvue_auth_url,
            api_url=self.fanvue_api_url,
            prefix=self.fanvue_api_prefix,
            version=self.fanvue_api_version,
            client_id=self.fanvue_client_id,
            client_secret=self.fanvue_client_secret,
            redirect_url=self.fanvue_redirect_url,
            scopes=asked_scopes(self.fanvue_scopes),
        )

    def platforms(self) -> dict[str, tuple[str, Dialect]]:
        """URL and dialect of each provider that is set up. Raises SettingsError for a malformed one."""
        found = {
            "sandbox": (self.sandbox_url, Dialect()),
            "session": (self.session_platform_url, parse_dialect(self.session_platform_paths)),
        }
        for name, (url, _) in found.items():
            if url and not url.startswith(("http://", "https://")):
                raise SettingsError(f"the URL of provider {name} must begin with http:// or https://")
        return {name: platform for name, platform in found.items() if platform[0]}


def _check_url(name: str, url: str, *, is_plain_fine: bool) -> None:
    """Raises SettingsError for what is no address of a server. Tokens and codes go over HTTPS, but for dev and test."""
    parts = urlsplit(url)
    schemes = {"https", "http"} if is_plain_fine else {"https"}
    if parts.scheme not in schemes or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise SettingsError(f"FANGATE_{name.upper()}: an https:// URL without query is expected")
