"""Where spans of work are recorded, if anywhere: only with the extra `otel` and an address in `OTEL_*`.

Without one nothing is wrapped and nothing is called: whoever makes spans asks `recorder()` once, when it is wired. The trace
context travels with messages in any case (`trace.py`).
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol, TypeAlias

Kind: TypeAlias = Literal["server", "consumer", "client", "internal"]
Attributes: TypeAlias = Mapping[str, str | int | bool]
NONE: Attributes = {}


class Span(Protocol):
    """A piece of work under way."""

    def note(self, attributes: Attributes) -> None:
        """Facts that are known only now. Never secrets, never what a caller wrote freely."""
        ...

    def fail(self, reason: str) -> None:
        """It did not do what it was there for; `reason` is a code or the name of an error's class."""
        ...


class Recorder(Protocol):
    """Records spans. An exception that leaves one fails it, by the name of its class: messages may hold what is nobody's business."""

    def around(
        self,
        name: str,
        kind: Kind,
        *,
        parent: str | None = None,
        links: Sequence[str] = (),
        attributes: Attributes = NONE,
    ) -> AbstractContextManager[Span]:
        """Record what the block does. `parent` and `links` are traceparents; None = the current one, empty = a trace begins.
        Within the block `current_traceparent` is the span's.
        """
        ...


_recorder: Recorder | None = None  # of the process, set before anything is wired


def recorder() -> Recorder | None:
    """The process's, or None: then nothing is to be wrapped."""
    return _recorder


def record_with(found: Recorder | None) -> None:
    """From now on, whoever is wired records with `found`."""
    global _recorder  # noqa: PLW0603 - one per process, as loggers and metrics are
    _recorder = found
