"""The settings of sessions, read from `FANGATE_*` (docs/operations.md)."""

from libs.common.sealing import FormKeys
from libs.common.settings import Secret, SettingsError
from libs.common.vault import Vault
from libs.common.worker import WorkerSettings
from services.sessions.domain.pace import Rate
from services.sessions.gateways.providers.dialect import Dialect, parse_dialect


class SessionsSettings(WorkerSettings, frozen=True, kw_only=True):
    """What sessions reads beside what every worker does."""

    vault_keys: Secret  # name:hex64,… - the key ring of the vault, active first
    form_keys: Secret  # name:hex64,… - private keys that users' forms are sealed to, active first
    sandbox_url: str = ""  # empty = no provider `sandbox`
    session_platform_url: str = ""  # empty = no provider `session`
    session_platform_paths: str = ""  # JSON, see gateways/providers/dialect.py
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
        per_minute = {"session": self.model_calls_per_minute, "sandbox": self.sandbox_calls_per_minute}
        if min(*per_minute.values(), self.model_calls_burst - 1, self.replicas_sessions - 1) < 0:
            raise SettingsError("calls per minute: 0 or more; burst and replicas_sessions: 1 or more")
        return {
            provider: Rate(
                -(-calls // self.replicas_sessions), max(1, self.model_calls_burst // self.replicas_sessions)
            )
            for provider, calls in per_minute.items()
        }

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
