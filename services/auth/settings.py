"""The settings of auth, read from `FANGATE_*` (docs/operations.md)."""

import ipaddress
from typing import Final

from dns.asyncresolver import Resolver

from libs.common.peppers import PepperRing
from libs.common.sealing import FormKeys
from libs.common.settings import Secret, SettingsError
from libs.common.vault import Vault
from libs.common.worker import WorkerSettings
from services.auth.gateways.domains import resolver_of

PRODUCTION: Final = "production"


class AuthSettings(WorkerSettings, frozen=True, kw_only=True):
    """What auth reads beside what every worker does."""

    key_peppers: Secret  # name:hex64,… - the same ring as the edge's, active first
    password_keys: Secret  # name:hex64,… - private keys that passwords are sealed to by edges, active first
    dns_servers: str = ""  # that proofs of domains are looked up at: `9.9.9.9,149.112.112.112`; empty = this machine's
    webhook_keys: Secret  # name:hex64,… - the key ring that secrets of webhooks are sealed under, active first
    webhook_local_receivers: str = ""  # 127.0.0.1:9000,… - of this machine; outside production only

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

    def webhook_vault(self) -> Vault:
        """The vault of FANGATE_WEBHOOK_KEYS. Raises SettingsError, which shows no key."""
        try:
            return Vault.parse(self.webhook_keys.reveal())
        except ValueError as exc:
            raise SettingsError(f"FANGATE_WEBHOOK_KEYS: {exc}") from None

    @property
    def is_strict(self) -> bool:
        """Whether webhooks go to the public internet only, and only by https."""
        return self.env == PRODUCTION

    def local_receivers(self) -> list[tuple[str, int]]:
        """Where webhooks may go on this machine. Raises SettingsError in production, and for what is no address and port."""
        if not self.webhook_local_receivers:
            return []
        if self.is_strict:
            raise SettingsError("FANGATE_WEBHOOK_LOCAL_RECEIVERS: not in production")
        found = []
        for entry in self.webhook_local_receivers.split(","):
            address, _, port = entry.strip().rpartition(":")
            try:
                found.append((str(ipaddress.ip_address(address.strip("[]"))), int(port)))
            except ValueError:
                raise SettingsError("FANGATE_WEBHOOK_LOCAL_RECEIVERS: expected address:port,…") from None
        return found
