"""What billing refuses, in the words that cross the bus (`code`, `fields`)."""

from libs.common.errors import FangateError, Permanent, Transient


class InsufficientCredits(FangateError):
    """Insufficient credits."""

    code = "INSUFFICIENT_CREDITS"  # fields: required, balance; required > balance, as Postgres has it
    status_hint = 402


class CreditsInUse(FangateError):
    """All credits are in use by calls in flight; try again in a moment."""

    code = "CREDITS_IN_USE"  # the balance would do, but leases hold it: never a 402
    status_hint = 503


class NoSubscription(FangateError):
    """No active subscription."""

    code = "NO_SUBSCRIPTION"
    status_hint = 402


class SubscriptionPastDue(FangateError):
    """The subscription is past due: settle the open invoice in the dashboard."""

    code = "SUBSCRIPTION_PAST_DUE"
    status_hint = 402


class LeaseStoreMismatch(FangateError):
    """The caller and billing do not see the same Redis; try again in a moment."""

    code = "LEASE_STORE_MISMATCH"
    status_hint = 503


class LeaseClosed(FangateError):
    """The lease was closed before it was opened."""

    code = "LEASE_CLOSED"
    status_hint = 409


class LeaseConflict(FangateError):
    """A lease of this id exists with another organization or amount."""

    code = "LEASE_CONFLICT"
    status_hint = 409


class LeaseInvalid(FangateError):
    """A lease needs an amount of at least one credit and, for a batch, an id."""

    code = "LEASE_INVALID"
    status_hint = 400


class UnknownOrganization(FangateError):
    """Billing does not know this organization."""

    code = "UNKNOWN_ORGANIZATION"
    status_hint = 404


class PlanNotOpen(FangateError):
    """Only the operator gives this plan; those to be taken by oneself are open in the list of plans."""

    code = "NOT_ENABLED"
    status_hint = 403


class UnknownPlan(FangateError):
    """There is no such plan."""

    code = "UNKNOWN_PLAN"
    status_hint = 404


class AlreadySubscribed(FangateError):
    """The organization has another subscription."""

    code = "ALREADY_SUBSCRIBED"
    status_hint = 409


class InvalidRequest(FangateError):
    """The request asks for something that does not exist."""

    code = "INVALID_REQUEST"  # the message names the parameter
    status_hint = 400


class RacedPosting(Transient):
    """Another process posted some of these transfers meanwhile: nothing was written, look again."""


class Unpostable(Permanent):
    """The database refuses these rows for what they are; trying again changes nothing."""
