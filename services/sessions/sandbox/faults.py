"""Faults on demand: how a platform fails, for whom, and how many times."""

from typing import Final, Literal

import msgspec

FAULTS_MAX: Final = 1_000  # waiting at one time
RETRY_AFTER_SECONDS: Final = 30
TOO_LARGE_BYTES: Final = 9 << 20  # over the gateway's cap of 8 MiB


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One fault. Who it hits: `route` (a catalogue name, or `auth_login`, `auth_two_factor`, `auth_refresh`, `auth_logout`,
    `auth_token`, `auth_revoke`; absent = any catalogue route), `account` (a numeric id; absent = any), `times` (absent = until deleted).

    Without effect on data: `status` (with `body`, sent as it is), `rate_limit` (429, this many seconds in Retry-After; true = 30),
    `expire_session` (401; the account's sessions end), `drop: "before"` (the connection ends before the body is read).
    After the call had its effect: `drop: "after"`, `garbage` (no JSON, whatever the content type says), `html` (a page),
    `too_large` (a body of so many bytes; true = 9 MiB), `half_body` (the connection ends in the middle of the answer).
    `delay_ms` goes with any of them or alone; it waits after the effect.
    """

    route: str | None = None
    account: int | None = None
    times: int | None = None
    status: int | None = None
    body: str | None = None
    rate_limit: int | bool | None = None
    expire_session: bool = False
    drop: Literal["before", "after"] | bool | None = None
    garbage: bool = False
    html: bool = False
    too_large: int | bool = False
    half_body: bool = False
    delay_ms: int = 0

    @property
    def drops_before(self) -> bool:
        return self.drop is True or self.drop == "before"

    @property
    def drops_after(self) -> bool:
        return self.drop == "after"

    @property
    def retry_after_s(self) -> int:
        """0 = no rate limit."""
        return RETRY_AFTER_SECONDS if self.rate_limit is True else int(self.rate_limit or 0)

    @property
    def too_large_bytes(self) -> int:
        return TOO_LARGE_BYTES if self.too_large is True else int(self.too_large)

    def matches(self, route: str, account: int | None) -> bool:
        """Whether a call of `route` for `account` meets this fault. Sign-in routes only meet faults that name them."""
        if self.account is not None and self.account != account:
            return False
        return self.route == route or (self.route in (None, "*") and not route.startswith("auth_"))


NO_FAULT: Final = Fault()


class FaultBook:
    """The faults waiting to happen, in the order they were asked for."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Raises ValueError when too many are waiting."""
        if len(self._waiting) >= FAULTS_MAX:
            raise ValueError(f"there are {FAULTS_MAX} faults waiting")
        self._waiting.append(fault)

    def clear(self) -> None:
        self._waiting.clear()

    def waiting(self) -> list[Fault]:
        return list(self._waiting)

    def take(self, route: str, account: int | None) -> Fault:
        """The first fault that this call meets, or one without any effect. Counts it."""
        for fault in self._waiting:
            if fault.matches(route, account):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self._waiting.remove(fault)
                return fault
        return NO_FAULT
