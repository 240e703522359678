"""Every query that a store names exists: a misspelt one fails here, not in the one night when its code runs."""

import ast
import importlib
from pathlib import Path

import pytest

from libs.common.db.queries import Queries

ROOT = Path(__file__).resolve().parents[2]


def loads(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "load_queries"


def loaded_names(tree: ast.Module) -> set[str]:
    """Module-level names that `load_queries(…)` is assigned to."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and loads(node.value):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and loads(node.value) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def used_names(tree: ast.Module, queries: str) -> set[str]:
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == queries
    }


def stores() -> list[Path]:
    return [path for path in sorted(ROOT.glob("services/*/store/*.py")) if "load_queries(" in path.read_text()]


@pytest.mark.parametrize("path", stores(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_query_that_a_store_names_exists(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    names = loaded_names(tree)
    assert names, "load_queries belongs at the top of the module, so that a bad file stops the start"
    for name in names:
        queries = getattr(module, name)
        assert isinstance(queries, Queries)
        assert used_names(tree, name) - set(queries) == set()


def test_the_check_finds_a_misspelt_name() -> None:
    tree = ast.parse("QUERIES: Final = load_queries(__package__)\ndef f(tx): return tx.fetch(QUERIES.open_leese)")
    assert loaded_names(tree) == {"QUERIES"}
    assert used_names(tree, "QUERIES") == {"open_leese"}
