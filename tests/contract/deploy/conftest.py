"""Programs that not every machine has: fetched by `make monitor-verify` and `make k8s`, used here where they are."""

from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.tools import find


@pytest.fixture(scope="session")
def program() -> Callable[[str, str], Path]:
    """`program("prometheus", "promtool")`: its path, or a skip that says how to get it."""

    def look(tool: str, name: str) -> Path:
        found = find(tool, name)
        if found is None:
            pytest.skip(f"{name} is not here: python3 -m deploy.tools {tool}")
        return found

    return look
