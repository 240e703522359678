"""The one log line of a message that was handled: always if it failed or took long, else for the requests that are sampled."""

from libs.common.contracts.envelope import Context
from libs.common.telemetry.log import logger
from libs.common.telemetry.trace import SLOW_SECONDS, is_sampled, names_of

_log = logger(__name__)
_WELL = frozenset({"ok", "done"})


def tell(queue: str, context: Context, outcome: str, seconds: float) -> None:
    """Write the line, if this is one of those."""
    if outcome in _WELL and seconds < SLOW_SECONDS and not is_sampled(context.traceparent):
        return
    _log.info(
        "handled", **names_of(context.traceparent), queue=queue, type=context.type, id=str(context.message_id),
        org_id=None if context.org_id is None else str(context.org_id), outcome=outcome, attempt=context.attempt,
        ms=round(1_000 * seconds, 2),
    )  # fmt: skip
