"""The settings of auth, read from `FANGATE_*` (docs/operations.md)."""

from dns.asyncresolver import Resolver

from libs.common.peppers import PepperRing
from libs.common.sealing import FormKeys
from libs.common.settings import Secret, SettingsError
from libs.common.worker import WorkerSettings
from services.auth.gateways.domains import resolver_of


class AuthSettings(WorkerSettings, frozen=True, kw_only=True):
    """What auth reads beside what every worker does."""

    key_peppers: Secret  # name:hex64,… - the same ring as the edge's, active first
    password_keys: Secret  # name:hex64,… - private keys that passwords are sealed to by edges, active first
    dns_servers: str = ""  # that proofs of domains are looked up at: `9.9.9.9,149.112.112.112`; empty = this machine's

    def pepper_ring(self) -> PepperRing:
        """The ring of FANGATE_KEY_PEPPERS. Raises SettingsError, which shows no pepper."""
        try:
            return PepperRing.parse(self.key_peppers.reveal())
        except ValueError as exc:
            raise SettingsError(f"FANGATE_KEY_PEPPERS: {exc}") from None

    def sealed_passwords(self) -> FormKeys:
        """The keys of FANGATE_PASSWORD_KEYS. Raises SettingsError, which shows no key."""
        try:
            return FormKeys.parse(self.password_keys.reveal())
        except ValueError as exc:
            raise SettingsError(f"FANGATE_PASSWORD_KEYS: {exc}") from None

    def resolver(self) -> Resolver:
        """Who is asked about domains. Raises SettingsError."""
        try:
            return resolver_of(self.dns_servers)
        except ValueError as exc:
            raise SettingsError(f"FANGATE_DNS_SERVERS: {exc}") from None
