"""What can go wrong with a model and with a call to its platform.

First what a caller is told, then what the platform did to us (`gateways/` raises it, use cases turn it into the former).
"""

from typing import Final

from libs.common.errors import DeadlinePassed, FangateError, Unavailable


class ModelNotFound(FangateError):
    """Model not found."""

    code = "MODEL_NOT_FOUND"
    status_hint = 404


class RouteNotSupported(FangateError):
    """The model's platform does not have this route."""

    code = "ROUTE_NOT_SUPPORTED"
    status_hint = 404


class InvalidRequest(FangateError):
    """The request cannot be passed on."""

    code = "INVALID_REQUEST"
    status_hint = 400


class ModelNotConnected(FangateError):
    """Model is not connected: connect it first."""

    code = "MODEL_NOT_CONNECTED"
    status_hint = 424


class SyncLost(FangateError):
    """Model is in sync_lost: reconnect it."""

    code = "SYNC_LOST"
    status_hint = 424


class PlatformFailed(FangateError):
    """Upstream error."""

    code = "OF_API_ERROR"
    status_hint = 502


class UpstreamTimeout(DeadlinePassed):
    """The platform did not answer in time."""


class OutcomeUnknown(FangateError):
    """The platform may have carried out the call, and nobody can say: look before you repeat it."""

    code = "OUTCOME_UNKNOWN"
    status_hint = 504


class LinkGone(FangateError):
    """The link does not work, or not any more: ask for a new one."""

    code = "LINK_GONE"
    status_hint = 404


class FormKeyUnknown(Unavailable):
    """The form was sealed to a key that is no longer used: try again."""


class NotPossible(FangateError):
    """Not possible in the model's present state."""

    code = "CONFLICT"
    status_hint = 409


class LabelTaken(FangateError):
    """Another model of the organization has this label."""

    code = "CONFLICT"
    status_hint = 409


class Paced(Unavailable):
    """The model is called faster than its platform bears: wait."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(retry_after_s=retry_after_s, detail="paced")
        self.public = "The model is called faster than its platform bears: wait"


class AccountTaken(FangateError):
    """The account is connected already, as another model of the organization."""

    code = "CONFLICT"
    status_hint = 409


class PlatformTrouble(Exception):
    """The platform did not do its part; it says nothing about the model's session."""

    def __init__(self, detail: str, *, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(detail)


class NotSent(PlatformTrouble):
    """No connection was had: not one byte of the call left."""


class Dropped(PlatformTrouble):
    """The connection ended before the answer was whole: the platform may have carried out the call."""


class TimedOut(PlatformTrouble):
    """No answer in time. `may_have_left` False = not one byte of the call left."""

    def __init__(self, detail: str, *, may_have_left: bool) -> None:
        self.may_have_left = may_have_left
        super().__init__(detail)


class Unusable(PlatformTrouble):
    """The platform answered, but not with JSON of a bearable size."""


class SignInRefused(Exception):
    """The platform looked at the credentials, code or session and said no. `reason` is a word for events and lists."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


GRANT_REFUSED: Final = "grant_refused"  # the reason of a SignInRefused: the user, or the platform, ended the consent


class ChallengeExpired(Exception):
    """The two-factor challenge is too old to be answered: sign in again."""
