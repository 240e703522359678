"""Which key a request carries."""

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from services.edge.domain.refusal import Refusal
from services.edge.entry.credentials import presented_key
from services.edge.entry.surfaces.gateway import Gateway


@pytest.mark.parametrize(
    ("headers", "outcome"),
    [
        ([], "NO_API_KEY"),
        ([("X-API-Key", "")], "NO_API_KEY"),
        ([("Authorization", "Bearer ")], "NO_API_KEY"),
        ([("X-Api-Key", "k")], "k"),
        ([("Authorization", "Bearer k")], "k"),
        ([("Authorization", "bEARER   k")], "k"),
        ([("Authorization", "Bearer k"), ("X-API-Key", "k")], "k"),
        ([("Authorization", "Bearer other"), ("X-API-Key", "k")], "MULTIPLE_CREDENTIALS"),
        ([("X-API-Key", "k"), ("x-api-key", "k")], "MULTIPLE_CREDENTIALS"),
        ([("Authorization", "Bearer k"), ("Authorization", "Bearer k")], "MULTIPLE_CREDENTIALS"),
        ([("Authorization", "Basic azpw")], "Basic azpw"),
        ([("Authorization", "k")], "k"),
        ([("X-Fanvue-API-Key", "k")], "NO_API_KEY"),
    ],
)
def test_headers(headers: list[tuple[str, str]], outcome: str) -> None:
    try:
        assert presented_key(CIMultiDictProxy(CIMultiDict(headers)), Gateway()) == outcome
    except Refusal as refusal:
        assert refusal.code == outcome  # noqa: PT017 - both outcomes in one table
