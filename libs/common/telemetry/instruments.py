"""prometheus_client's instruments for a process with one thread: counting costs one addition, not two calls, a check and a lock.

A request passes some forty of them. They are used, labelled and exported like the originals; exemplars are not kept.
"""

import time
from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

import prometheus_client


class _Number:
    """The value of one time series; no lock, for only the event loop's thread counts."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def get(self) -> float:
        return self.value

    def set(self, value: float, timestamp: float | None = None) -> None:  # noqa: ARG002 - prometheus_client's signature
        self.value = value

    def get_exemplar(self) -> None:
        """There are none."""


class Counter(prometheus_client.Counter):
    """Only ever rises."""

    def _metric_init(self) -> None:
        self._value: Any = _Number()
        self._created = time.time()

    def inc(self, amount: float = 1, exemplar: Mapping[str, str] | None = None) -> None:  # noqa: ARG002
        """Count `amount`; raises AttributeError on a metric whose labels are not set."""
        self._value.value += amount


class Gauge(prometheus_client.Gauge):
    """Goes up and down."""

    def _metric_init(self) -> None:
        self._value: Any = _Number()

    def inc(self, amount: float = 1) -> None:
        """Raises AttributeError on a metric whose labels are not set."""
        self._value.value += amount

    def dec(self, amount: float = 1) -> None:
        """Raises as `inc`."""
        self._value.value -= amount

    def set(self, value: float) -> None:
        """Raises as `inc`."""
        self._value.value = float(value)


class Histogram(prometheus_client.Histogram):
    """Counts by size."""

    def _metric_init(self) -> None:
        self._sum: Any = _Number()
        self._buckets: list[Any] = [_Number() for _ in self._upper_bounds]
        self._created = time.time()

    def observe(self, amount: float, exemplar: Mapping[str, str] | None = None) -> None:  # noqa: ARG002
        """Count `amount` where it belongs; raises AttributeError on a metric whose labels are not set."""
        self._sum.value += amount
        self._buckets[bisect_left(self._upper_bounds, amount)].value += 1
