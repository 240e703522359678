"""Settings of the service and of its command line."""

from libs.common.settings import CommonSettings, Secret


class BillingSettings(CommonSettings, frozen=True, kw_only=True):
    """What billing reads beside the common settings."""

    postgres_dsn: Secret
    amqp_url: Secret
    redis_url: Secret
    redis_prefix: str = ""  # in front of all key names, the same in edge and billing
    bus_reply: str = "direct"
    lease_finalise: bool = True  # off while shards move between ledger queues, until the old queue is empty


class CommandSettings(CommonSettings, frozen=True, kw_only=True):
    """What the operator's command line reads."""

    postgres_dsn: Secret
    amqp_url: Secret
