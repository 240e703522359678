"""What runs only where it was installed and asked for: spans by OpenTelemetry (`OTEL_*`), errors to Sentry (`SENTRY_DSN`).

Both are asked for by the variables that they have everywhere, not by ours. What is asked for and not installed is said, and
the process runs without it: such variables are often set for a whole cluster.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, Self

from structlog.typing import Processor

from libs.common.telemetry import spans

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_OFF: Final = "OTEL_SDK_DISABLED"


class _Open(Protocol):
    def close(self) -> None: ...


@dataclass(slots=True)
class Extras:
    """Those of one process."""

    processors: list[Processor] = field(default_factory=list)  # of the log
    missing: list[str] = field(default_factory=list)
    _open: list[_Open] = field(default_factory=list)

    @classmethod
    def of(cls, environ: Mapping[str, str], *, service: str, version: str, environment: str) -> Self:
        """Start what `environ` asks for; before anything is wired."""
        extras = cls()
        if any(environ.get(name) for name in _ENDPOINTS) and environ.get(_OFF, "").lower() != "true":
            try:
                from libs.common.telemetry.otel import open_recorder
            except ImportError:
                extras.missing.append("otel")
            else:
                recorder = open_recorder(service, version)
                spans.record_with(recorder)
                extras._open.append(recorder)
        if dsn := environ.get("SENTRY_DSN"):
            try:
                from libs.common.telemetry.sentry import SentryErrors
            except ImportError:
                extras.missing.append("sentry")
            else:
                errors = SentryErrors(service, version, dsn, environ.get("SENTRY_ENVIRONMENT") or environment)
                extras.processors.append(errors)
                extras._open.append(errors)
        return extras

    def close(self) -> None:
        """Send what is left, each within a few seconds."""
        spans.record_with(None)
        for each in self._open:
            each.close()
