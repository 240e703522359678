"""Errors as RFC 9457 problem details, for callers who ask for them by name; nobody gets them unasked."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import orjson

from services.edge.domain.refusal import Refusal

PROBLEM_TYPE: Final = "application/problem+json"
_PLAIN_TYPE: Final = "application/json"


def wants_problem(accept: Sequence[str]) -> bool:
    """Whether the `Accept` headers name problem details, and no less gladly than plain JSON. `*/*` names nothing."""
    weights: dict[str, float] = {}
    for part in ",".join(accept).split(","):
        media_type, *parameters = (word.strip().lower() for word in part.split(";"))
        weights[media_type] = next((_weight(word) for word in parameters if word.startswith("q=")), 1.0)
    wish = weights.get(PROBLEM_TYPE, 0.0)
    return wish > 0 and wish >= weights.get(_PLAIN_TYPE, 0.0)


def as_problem(refusal: Refusal, body: bytes) -> bytes:
    """`body`, a surface's error, with the members of RFC 9457 before its own."""
    return orjson.dumps(
        {
            "type": "about:blank",
            "title": HTTPStatus(refusal.status).phrase,
            "status": refusal.status,
            "detail": refusal.public,
            **orjson.loads(body),
        }
    )


def _weight(word: str) -> float:
    try:
        return float(word.removeprefix("q="))
    except ValueError:
        return 0.0
