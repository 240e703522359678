"""Named SQL: what a file must look like, and how a typing error shows."""

import pytest

from libs.common.db.queries import load_queries, parse_queries

GOOD = """-- Statements of the example.

-- name: open_lease
-- Sets credits aside.
INSERT INTO leases (id) VALUES ($1)
RETURNING id;

-- name: close_lease
-- Gives back what is left.
UPDATE leases SET state = 'closed'  -- the row stays
WHERE id = $1;
"""


def test_statements_are_attributes_without_heading_and_purpose() -> None:
    queries = parse_queries(GOOD, source="example")
    assert queries.open_lease == "INSERT INTO leases (id) VALUES ($1)\nRETURNING id"
    assert queries.close_lease.startswith("UPDATE leases")
    assert list(queries) == ["open_lease", "close_lease"]


def test_an_unknown_name_is_an_attribute_error_that_names_the_file() -> None:
    with pytest.raises(AttributeError, match="example has no query named 'open_leese'"):
        _ = parse_queries(GOOD, source="example").open_leese


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("SELECT 1;\n" + GOOD, "before the first name"),
        (GOOD + "\n-- name: open_lease\n-- Again.\nSELECT 1;", "double name"),
        ("-- name: Open\n-- Purpose.\nSELECT 1;", "bad or double"),
        ("-- name:\n-- Purpose.\nSELECT 1;", "bad or double"),
        ("-- name: a\nSELECT 1;", "purpose"),
        ("-- name: a\n-- Purpose.\n", "a statement"),
        ("-- name: a\n-- Purpose.\n-- and nothing else\n", "a statement"),
    ],
)
def test_a_malformed_file_is_refused_when_it_is_loaded(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_queries(text, source="example")


def test_a_package_is_needed() -> None:
    with pytest.raises(ValueError, match="package"):
        load_queries(None)
