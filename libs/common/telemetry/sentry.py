"""Errors to Sentry. Imported only where the extra is installed and `SENTRY_DSN` is set.

Only what our own log calls an error with an exception goes there, through the same masks as the log, without the values of
variables, without anything of a request, and without the integrations that would collect such things.
"""

from collections.abc import MutableMapping
from types import TracebackType
from typing import Any, Final, cast

import sentry_sdk
from sentry_sdk.types import Event, Hint

from libs.common.telemetry.log import mask

FLUSH_SECONDS: Final = 2.0  # at the end of the process
_DEPTH_MAX: Final = 12  # a frame of a traceback lies seven deep in an event
_LEVELS: Final = {"error": "error", "critical": "fatal"}
_FACTS: Final = (
    "request_id",
    "type",
    "queue",
    "id",
    "timer",
    "task",
    "step",
    "module",
)  # of a log line: what finds it again

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class SentryErrors:
    """A structlog processor that passes everything on as it came. `close` at the end of the process."""

    def __init__(self, service: str, version: str, dsn: str, environment: str) -> None:
        sentry_sdk.init(
            dsn=dsn,
            release=version,
            environment=environment,
            server_name=service,
            default_integrations=False,
            include_local_variables=False,
            include_source_context=False,
            send_default_pii=False,
            max_breadcrumbs=0,
            auto_session_tracking=False,
            before_send=scrubbed,
        )
        self._service = service

    def __call__(self, _logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if (level := _LEVELS.get("error" if method == "exception" else method)) is not None:
            found = event.get("exc_info")
            if isinstance(found, BaseException):
                found = (type(found), found, found.__traceback__)
            elif found is True:
                found = _current()
            if isinstance(found, tuple) and found[0] is not None:
                self._send(level, cast(ExcInfo, found), event)
        return event

    def _send(self, level: str, found: ExcInfo, event: MutableMapping[str, Any]) -> None:
        with sentry_sdk.new_scope() as scope:
            scope.set_level(cast(Any, level))
            scope.set_tag("service", self._service)
            scope.set_context("log", {"event": event.get("event"), **{n: str(event[n]) for n in _FACTS if n in event}})
            sentry_sdk.capture_exception(found)

    def close(self) -> None:
        """Send what is left, briefly."""
        sentry_sdk.get_client().close(timeout=FLUSH_SECONDS)


def _current() -> Any:
    import sys

    return sys.exc_info()


def scrubbed(event: Event, _hint: Hint) -> Event:
    """The event with everything masked that the log would mask."""
    return cast(Event, {name: mask(name, value, depth_max=_DEPTH_MAX) for name, value in event.items()})
