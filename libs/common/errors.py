"""The errors of the project: one tree, each with a stable code and a sentence that may be shown to a caller.

Errors of one service live in its `domain/`; here are the root, the trio that tells the bus what to do with a message,
and nothing else.
"""

from typing import Any, ClassVar


class FangateError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "INTERNAL_ERROR"
    status_hint: ClassVar[int] = 500

    def __init__(self, public: str = "", *, detail: str = "", **fields: Any) -> None:
        """`public` may be shown to the caller (default: the class's first docstring line); `detail` is for logs only;
        `fields` are facts a surface may add to the answer (`required=3, balance=2`): plain JSON values, no secrets.
        """
        self.public = public or (type(self).__doc__ or "").strip().split("\n")[0].rstrip(".")
        self.detail = detail
        self.fields: dict[str, Any] = fields
        super().__init__(self.public)

    def __str__(self) -> str:
        return f"{self.code}: {self.public}" + (f" ({self.detail})" if self.detail else "")


class Transient(Exception):
    """Handling failed for a reason that will pass: the bus tries again, later and later."""


class RetryAfter(Transient):
    """Handling may be tried again after `seconds`, not before."""

    def __init__(self, seconds: float, reason: str = "") -> None:
        self.seconds = seconds
        super().__init__(reason or f"retry after {seconds} s")


class Permanent(Exception):
    """Handling will never succeed: the message goes to the dead-letter queue at once."""


class Unavailable(FangateError):
    """The service is unavailable for a moment; try again."""

    code = "UNAVAILABLE"
    status_hint = 503

    def __init__(self, *, retry_after_s: int = 1, detail: str = "") -> None:
        self.retry_after_s = retry_after_s
        super().__init__(detail=detail)


class Refused(Unavailable):
    """The bus did not take the message: it is certain that nobody will see it."""


class Unconfirmed(Unavailable):
    """The bus did not say whether it took the message: it may arrive, now or later."""


class DeadlinePassed(FangateError):
    """No answer came in time."""

    code = "UPSTREAM_TIMEOUT"
    status_hint = 504


class RpcError(FangateError):
    """Another service answered with an error; `code` and `fields` are its own words."""

    def __init__(self, code: str, public: str = "", **fields: Any) -> None:
        super().__init__(public, **fields)
        self.code = code  # type: ignore[misc]  # the one error whose code comes from the wire
