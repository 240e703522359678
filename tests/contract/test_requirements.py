"""`docs/requirements.md` ticks nothing that no test shows, and every number in a test's name is one that promises have."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINE = re.compile(r"^- \[(?P<tick>[x ])\] \*\*R(?P<number>\d+)\*\* (?P<text>.+)$", re.MULTILINE)
PROMISED = [*range(1, 186)]
NUMBER_MAX = 185
NEVER_RUN = {"skip", "xfail"}


def collected() -> Iterator[str]:
    """Names of the tests that a run collects, without those that are marked not to count."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                marks = {
                    each.attr
                    for deco in node.decorator_list
                    for each in ast.walk(deco)
                    if isinstance(each, ast.Attribute)
                }
                if not marks & NEVER_RUN:
                    yield node.name


def numbers_in(name: str) -> list[str]:
    """`test_R018_R020_most_calls…` -> R018, R020."""
    return re.findall(r"R\d+(?=_)", name)


TESTS = set(collected())
ENTRIES = list(LINE.finditer((ROOT / "docs" / "requirements.md").read_text(encoding="utf-8")))


def test_every_number_has_one_line() -> None:
    assert sorted(int(entry["number"]) for entry in ENTRIES) == PROMISED


def test_what_is_ticked_names_tests_that_are_collected_and_carry_its_number() -> None:
    faults = []
    for entry in ENTRIES:
        named = re.findall(r"`(test_R\w+)`", entry["text"])
        number = f"R{int(entry['number']):03}"
        if entry["tick"] == "x" and not named:
            faults.append(f"{number}: ticked, and no test is named")
        faults += [f"{number}: {name} is not collected" for name in named if name not in TESTS]
        faults += [f"{number}: {name} does not carry it" for name in named if number not in numbers_in(name)]
    assert faults == []


def test_what_is_open_says_what_is_missing() -> None:
    # A half that is done may be named, but never whole: the name ends in an ellipsis.
    for entry in ENTRIES:
        if entry["tick"] == " ":
            assert entry["text"].count(".") >= 2, entry["text"]
            assert re.findall(r"`(test_R\w+)`", entry["text"]) == []


def test_numbers_in_names_have_three_digits_and_exist() -> None:
    wrong = [
        (name, number)
        for name in sorted(TESTS)
        for number in numbers_in(name)
        if len(number) != 4 or not 1 <= int(number[1:]) <= NUMBER_MAX
    ]
    assert wrong == []
