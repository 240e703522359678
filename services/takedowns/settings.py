"""The settings of takedowns, read from `FANGATE_*` (docs/operations.md)."""

from libs.common.settings import CommonSettings, Secret


class TakedownsSettings(CommonSettings, frozen=True, kw_only=True):
    """What takedowns reads beside the common settings."""

    postgres_dsn: Secret
    amqp_url: Secret
    bus_reply: str = "direct"  # direct | queue
