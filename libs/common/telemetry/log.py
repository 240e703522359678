"""Logs: one JSON object a line on standard output, through structlog, with secrets taken out.

Frame locals are never printed (they hold keys and passwords); values under telling names and anything that looks like one
of our keys are masked, wherever they come from, also in lines of libraries.
"""

import logging
import re
import sys
from collections.abc import MutableMapping, Sequence
from typing import Any, Final

import orjson
import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import Processor

from libs.common.telemetry.trace import current_traceparent, names_of

MASK: Final = "***"
_TELLING_NAMES: Final = re.compile(
    r"password|passwd|secret|token|authorization|cookie|session$|session_data|dsn|api[-_]?key|credential|pepper|_code$",
    re.IGNORECASE,
)
_SECRET_PATTERNS: Final = re.compile(
    r"fg[ktuors]_[0-9A-Za-z]{36}|whsec_[0-9A-Za-z+/=]+|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
)
_DEPTH_MAX: Final = 6  # nested deeper than this, a value is shown as its type


def configure_logging(service: str, *, level: str = "info", stream: Any = None, also: Sequence[Processor] = ()) -> None:
    """Set up logging for this process; call once, first. `also` sees every line before its traceback is made text."""
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.reset_defaults()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            name_request,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *also,
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False, max_frames=20)),
            redact,
            structlog.processors.JSONRenderer(serializer=_dump),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(stream or sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    root = logging.getLogger()
    root.handlers[:] = [_Bridge()]
    root.setLevel(max(number, logging.WARNING))  # libraries speak only when something is wrong


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of a module."""
    bound: structlog.typing.FilteringBoundLogger = structlog.get_logger(module=name)
    return bound


def name_request(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: which request this line belongs to, unless it says so itself."""
    if "request_id" not in event and (traceparent := current_traceparent.get()):
        event.update(names_of(traceparent))
    return event


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: mask secrets by name and by pattern, at any depth."""
    return {name: mask(name, value) for name, value in event.items()}


def mask(name: str, value: Any, *, depth_max: int = _DEPTH_MAX) -> Any:
    """`value`, found under `name`, without what is secret in it; deeper than `depth_max` nothing is shown."""
    if _TELLING_NAMES.search(name):
        return MASK
    if isinstance(value, str):
        return _SECRET_PATTERNS.sub(MASK, value)
    if isinstance(value, bool | int | float) or value is None:
        return value
    if depth_max <= 0:
        return f"<{type(value).__name__}>"
    if isinstance(value, dict):
        return {str(key): mask(str(key), item, depth_max=depth_max - 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [mask(name, item, depth_max=depth_max - 1) for item in value]
    return _SECRET_PATTERNS.sub(MASK, repr(value) if not isinstance(value, BaseException) else str(value))


def _dump(event: Any, **_: Any) -> bytes:
    return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS)


class _Bridge(logging.Handler):
    """Hands records of the standard library's loggers (aiohttp, aio_pika, asyncio) to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(module=record.name)
        log.log(record.levelno, record.getMessage(), exc_info=record.exc_info)
