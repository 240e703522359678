"""A breaker: after some errors in a row nobody asks for a while, then one probe decides."""

from typing import Final

ERRORS_MAX: Final = 5  # errors in a row until it opens
OPEN_SECONDS: Final = 1.0  # how long it stays open before a probe may go


class Breaker:
    """Times are seconds of one monotonic clock, passed in."""

    def __init__(self) -> None:
        self._errors = 0
        self._opened_at = 0.0
        self._probing = False

    @property
    def is_quiet(self) -> bool:
        """No error since the last success: there is nothing to ask `allows`, and nothing to tell `succeeded`."""
        return not self._errors

    @property
    def is_open(self) -> bool:
        return self._errors >= ERRORS_MAX

    def allows(self, now_s: float) -> bool:
        """Whether a request may go now. Whoever gets True must report `succeeded`, `failed` or `abandoned`."""
        if not self.is_open:
            return True
        if self._probing or now_s - self._opened_at < OPEN_SECONDS:
            return False
        self._probing = True
        return True

    def succeeded(self) -> bool:
        """Close it; answers whether it was open."""
        was_open = self.is_open
        self._errors, self._probing = 0, False
        return was_open

    def failed(self, now_s: float) -> None:
        self._errors, self._opened_at, self._probing = self._errors + 1, now_s, False

    def abandoned(self) -> None:
        """The request ended without an answer for a reason of its own (cancelled): the next one probes."""
        self._probing = False
