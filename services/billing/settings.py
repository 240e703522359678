"""Settings of the service and of its command line."""

from libs.common.settings import CommonSettings, Secret
from libs.common.worker import WorkerSettings


class BillingSettings(WorkerSettings, frozen=True, kw_only=True):
    """What billing reads beside what every worker does."""

    redis_url: Secret
    redis_prefix: str = ""  # in front of all key names, the same in edge and billing
    past_due_grace_hours: float = 0.0  # how long a past due subscription is still served
    lease_finalise: bool = True  # off while shards move between ledger queues, until the old queue is empty


class CommandSettings(CommonSettings, frozen=True, kw_only=True):
    """What the operator's command line reads."""

    postgres_dsn: Secret
    amqp_url: Secret
    redis_url: Secret | None = None  # without it `subscription end` leaves counters to their own end, 30 s at most
    redis_prefix: str = ""
    past_due_grace_hours: float = 0.0
