"""Why a call is not answered with a 2xx: one value for every error of requirements 3.2; the surface renders it."""

from typing import Any, Final

from libs.common.errors import FangateError
from services.edge.domain.windows import Window, Windows

# code -> (status, text). The texts are public; what can be said better is said where the refusal is raised.
CODES: Final[dict[str, tuple[int, str]]] = {
    "INVALID_REQUEST": (400, "Invalid request"),
    "MULTIPLE_CREDENTIALS": (400, "More than one credential was sent: send one key, once"),
    "VERSION_REQUIRED": (400, "The API version is missing"),
    "UNSUPPORTED_VERSION": (400, "API version is not supported"),
    "UPSTREAM_REJECTED": (400, "The platform rejected the request"),  # 409 where the platform said 409
    "NO_API_KEY": (401, "Invalid or missing API key"),  # one text for all 401: nothing tells a guesser how close it was
    "INVALID_API_KEY": (401, "Invalid or missing API key"),
    "NO_SUBSCRIPTION": (402, "No active subscription: connect billing in the dashboard"),
    "SUBSCRIPTION_PAST_DUE": (402, "Subscription is past due: repair billing in the dashboard"),
    "INSUFFICIENT_CREDITS": (402, "Insufficient credits: top up or wait for the renewal of the plan"),
    "PERMISSION_DENIED": (403, "Missing permission"),
    "SCOPE_MISSING": (403, "Missing scope"),
    "HTTPS_REQUIRED": (403, "HTTPS is required: this key was sent in the clear and should be rotated"),
    "ORGANIZATION_SUSPENDED": (403, "The organization is suspended: contact support"),
    "NOT_ENABLED": (403, "It is not enabled for this organization: ask the operator"),
    "READ_ONLY": (403, "This key is read-only"),
    "UPSTREAM_FORBIDDEN": (403, "The platform refused access to this resource"),
    "NOT_FOUND": (404, "Not found"),
    "MODEL_NOT_FOUND": (404, "Model not found"),
    "CREATOR_NOT_FOUND": (404, "Creator not found"),
    "BATCH_NOT_FOUND": (404, "Batch not found"),
    "LINK_GONE": (404, "The link does not work, or not any more: ask for a new one"),
    "ROUTE_NOT_SUPPORTED": (404, "The model's platform has no such route"),
    "UPSTREAM_NOT_FOUND": (404, "Not found on the platform"),
    "METHOD_NOT_ALLOWED": (405, "Method not allowed"),
    "CONFLICT": (409, "It is in the way of something that exists"),
    "IDEMPOTENCY_IN_PROGRESS": (409, "A request with this Idempotency-Key is in progress: repeat it in a moment"),
    "VERSION_SUNSET": (410, "API version no longer supported"),
    "BODY_TOO_LARGE": (413, "Request body too large"),
    "UNSUPPORTED_MEDIA_TYPE": (415, "Unsupported media type"),
    "EXPECTATION_FAILED": (417, "The only expectation met here is 100-continue"),
    "IDEMPOTENCY_KEY_REUSED": (422, "This Idempotency-Key was used for another request: take a new one"),
    "SYNC_LOST": (424, "Model is in sync_lost: reconnect it"),
    "MODEL_NOT_CONNECTED": (424, "Model is not connected"),
    "RATE_LIMIT_EXCEEDED": (429, "Rate limit exceeded"),
    "TOO_MANY_FAILED_AUTH": (429, "Too many failed auth attempts"),
    "INTERNAL_ERROR": (500, "Internal server error"),
    "OF_API_ERROR": (502, "Upstream error"),
    "UNAVAILABLE": (503, "The service is unavailable for a moment: try again"),
    "UPSTREAM_RATE_LIMITED": (503, "The platform is limiting calls to this model: try again later"),
    "UPSTREAM_TIMEOUT": (504, "The platform did not answer in time"),
    "OUTCOME_UNKNOWN": (
        504,
        "The platform's answer was lost: the request may have been carried out, check before repeating",
    ),
}
RETRY_AFTER_DEFAULT_S: Final = 1  # of every 503 that knows nothing better


class Refusal(FangateError):
    """The call is refused."""

    def __init__(
        self,
        code: str,
        public: str = "",
        *,
        status: int = 0,
        retry_after_s: int = 0,
        window: Window | None = None,
        allow: str = "",
        is_unsent: bool = False,
        detail: str = "",
        **fields: Any,
    ) -> None:
        """`code` is one of `CODES`, whose status and text hold unless given. `window` is the one that refused (429);
        `allow` lists the methods of a 405. `is_unsent`: what the call asked another service for certainly never left.
        """
        default_status, default_text = CODES[code]
        super().__init__(public or default_text, detail=detail, **fields)
        self.code = code  # type: ignore[misc]  # one class, many codes: the table above is the tree
        self.status = status or default_status
        self.retry_after_s = retry_after_s or (RETRY_AFTER_DEFAULT_S if self.status in {429, 503} else 0)
        self.window = window
        self.allow = allow
        self.is_unsent = is_unsent
        self.windows: Windows | None = None  # the organization's headroom, once admission has told


def rate_limited(windows: Windows, window: Window) -> Refusal:
    """The 429 of `window`, the one with the longest wait."""
    refusal = Refusal("RATE_LIMIT_EXCEEDED", retry_after_s=window.retry_after_s, window=window)
    refusal.windows = windows
    return refusal
