"""What auth refuses, and why."""

from libs.common.errors import FangateError


class InvalidApiKey(FangateError):
    """Invalid or missing API key."""

    code = "INVALID_API_KEY"
    status_hint = 401


class InvalidRequest(FangateError):
    """The request is invalid."""

    code = "INVALID_REQUEST"
    status_hint = 400


class NotFound(FangateError):
    """Not found."""

    code = "NOT_FOUND"
    status_hint = 404


class LinkGone(FangateError):
    """The link does not work, or not any more: ask for a new one."""

    code = "LINK_GONE"
    status_hint = 404


class OrganizationDeleted(NotFound):
    """Organization not found."""


class Conflict(FangateError):
    """It exists already."""

    code = "CONFLICT"
    status_hint = 409


class NotEnabled(FangateError):
    """It is not enabled for this organization."""

    code = "NOT_ENABLED"
    status_hint = 403


class PermissionDenied(FangateError):
    """Missing permission."""

    code = "PERMISSION_DENIED"
    status_hint = 403
