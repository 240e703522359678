"""What takedowns refuses, in the words that cross the bus (`code`, `fields`)."""

from libs.common.errors import FangateError, Unavailable


class InvalidRequest(FangateError):
    """The request is not valid."""

    code = "INVALID_REQUEST"
    status_hint = 400


class CreatorNotFound(FangateError):
    """Creator not found."""

    code = "CREATOR_NOT_FOUND"
    status_hint = 404


class BatchNotFound(FangateError):
    """Batch not found."""

    code = "BATCH_NOT_FOUND"
    status_hint = 404


class ReportNotFound(FangateError):
    """Report not found."""

    code = "NOT_FOUND"
    status_hint = 404


class EmailTaken(FangateError):
    """email: another creator has this address."""

    code = "CONFLICT"
    status_hint = 409


class InsufficientCredits(FangateError):
    """Insufficient credits."""

    code = "INSUFFICIENT_CREDITS"  # fields: required, balance
    status_hint = 402


class CreditsFrozen(FangateError):
    """The organization's credits are frozen: contact support."""

    code = "NO_SUBSCRIPTION"
    status_hint = 402


class CreditsInUse(Unavailable):
    """The credits are there, and held by other work for a moment."""


class LeaseNotSent(Unavailable):
    """Billing was not asked: there is certainly no lease."""


class LeaseUnknown(Unavailable):
    """Billing did not answer: there may be a lease."""


class TryAgain(Unavailable):
    """Another transaction was in the way; this one was undone whole."""


class CommitLost(Unavailable):
    """Nobody knows whether the transaction stands: the rows tell."""


class StoreRefused(FangateError):
    """The database does not take these rows."""


class ProcessingFailed(FangateError):
    """Nothing of the batch could be stored and nothing was charged: submit it again."""

    code = "INTERNAL_ERROR"
