"""The settings of takedowns, read from `FANGATE_*` (docs/operations.md)."""

from urllib.parse import urlsplit

from libs.common.settings import CommonSettings, Secret


class TakedownsSettings(CommonSettings, frozen=True, kw_only=True):
    """What takedowns reads beside the common settings."""

    postgres_dsn: Secret
    amqp_url: Secret
    bus_reply: str = "direct"  # direct | queue
    base_url: str = ""  # of this gateway: its own host is never a target
    takedowns_denied_hosts: str = ""  # host,host,…: never taken, nor what is below them

    def denied_hosts(self) -> list[str]:
        """Hosts whose URLs are refused."""
        own = urlsplit(self.base_url).hostname
        listed = [host.strip().lower() for host in self.takedowns_denied_hosts.split(",")]
        return [host for host in (own, *listed) if host]
