"""Answers as all surfaces give them: the headers of requirements 3.3 around a body that the surface made."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from multidict import CIMultiDict

from libs.common.http.server import Answer
from services.edge.domain.ports import Reserved
from services.edge.domain.refusal import Refusal
from services.edge.domain.windows import Window
from services.edge.entry.problems import PROBLEM_TYPE, as_problem, wants_problem

REPLAYED_HEADER: Final = "Idempotent-Replayed"
NOTHING: Final[Mapping[str, str]] = {}
EVERY_ANSWER: Final = CIMultiDict(
    {
        "Content-Type": "application/json",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    }
)


def success(
    status: int,
    body: bytes,
    request_id: UUID,
    reserved: Reserved | None,
    spoken: Mapping[str, str] = NOTHING,
    *,
    is_replayed: bool = False,
) -> Answer:
    """A 2xx; with the caller's headroom and what is `spoken` of the API version, if it was admitted."""
    headers = _of_success(request_id, reserved, spoken)
    if not body:
        del headers["Content-Type"]
    if is_replayed:
        headers[REPLAYED_HEADER] = "true"
    return Answer(status=status, body=body, headers=headers)


def file_headers(
    content_type: str, file_name: str, request_id: UUID, reserved: Reserved | None, spoken: Mapping[str, str] = NOTHING
) -> CIMultiDict[str]:
    """The headers of a 200 that is a file. `file_name` holds no quotes."""
    headers = _of_success(request_id, reserved, spoken)
    headers["Content-Type"] = content_type
    headers["Content-Disposition"] = f'attachment; filename="{file_name}"'
    return headers


def _of_success(request_id: UUID, reserved: Reserved | None, spoken: Mapping[str, str]) -> CIMultiDict[str]:
    headers = EVERY_ANSWER.copy()
    headers["X-Request-Id"] = str(request_id)
    if reserved is not None:
        _show(headers, reserved.windows.shown())
    headers.update(spoken)
    return headers


def failure(
    refusal: Refusal, body: bytes, request_id: UUID, *, spoken: Mapping[str, str] = NOTHING,
    accept: Sequence[str] = (),
    is_replayed: bool = False,
) -> Answer:  # fmt: skip
    """An error with all its headers; 413 closes the connection, for the rest of the body is not read. `accept`: what the
    caller would like, for errors can be had as problem details.
    """
    headers = EVERY_ANSWER.copy()
    if is_replayed:
        headers[REPLAYED_HEADER] = "true"
    if accept and wants_problem(accept):
        headers["Content-Type"] = PROBLEM_TYPE
        body = as_problem(refusal, body)
    headers.update(spoken)
    headers["X-Request-Id"] = str(request_id)
    headers["X-Error-Code"] = refusal.code
    window = refusal.window or (refusal.windows.shown() if refusal.windows is not None else None)
    if window is not None:
        _show(headers, window)
    if refusal.retry_after_s:
        headers["Retry-After"] = str(refusal.retry_after_s)
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    elif refusal.code == "SCOPE_MISSING":
        headers["WWW-Authenticate"] = 'Bearer error="insufficient_scope"'
    if refusal.allow:
        headers["Allow"] = refusal.allow
    answer = Answer(status=refusal.status, body=body, headers=headers)
    if refusal.status == 413:
        answer.force_close()
    return answer


def _show(headers: CIMultiDict[str], window: Window) -> None:
    headers["X-RateLimit-Limit"] = str(window.limit)
    headers["X-RateLimit-Remaining"] = str(window.remaining)
    headers["X-RateLimit-Reset"] = str(window.reset_at_s)
