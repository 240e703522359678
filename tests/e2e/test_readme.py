"""What the README tells a newcomer to type really runs, and every call is answered with the status that stands beside it."""

import asyncio
import os
import re
from pathlib import Path

import pytest

from tests.support.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
# The reader's `curl`, but for what it prints: the status, and what came, in files.
CURL = """
curl() { command curl --silent --show-error --max-time 60 --output "answer-$n" --write-out '%{http_code}\\n' "$@" >> statuses; n=$((n + 1)); }
n=0
"""


def blocks(page: Path) -> list[str]:
    """What is to be typed, but for starting and stopping the system itself."""
    found = re.findall(r"^```sh\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [block for block in found if not re.search(r"^make ", block, flags=re.MULTILINE)]


def promised(text: str) -> list[int]:
    """The status beside each curl; one without would promise nothing."""
    commands = re.findall(r"^curl .*$", text.replace("\\\n", " "), flags=re.MULTILINE)
    statuses = [re.search(r"# (\d{3})(?=:|$)", command.rstrip()) for command in commands]
    assert all(statuses), f"no status beside: {[c for c, s in zip(commands, statuses, strict=True) if s is None]}"
    return [int(status[1]) for status in statuses if status is not None]


PAGES = [page for page in (ROOT / "README.md", *ROOT.glob("docs/*.md")) if "curl " in "".join(blocks(page))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
async def test_what_the_page_says_is_what_happens(stack: Stack, tmp_path: Path, page: Path) -> None:
    # given a folder that looks like the reader's, after `make run`
    for name in (".venv", "libs", "services"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".run").symlink_to(stack.run)
    script = CURL + "\n".join(blocks(page))
    own = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}

    # when all of it is typed in one terminal
    process = await asyncio.create_subprocess_exec(
        "sh", "-e", "-u", "-c", script, cwd=tmp_path, env=own,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()

    # then every command worked, and every call had the promised answer
    assert process.returncode == 0, said.decode()
    statuses = [int(line) for line in (tmp_path / "statuses").read_text(encoding="utf-8").split()]
    answers = [(tmp_path / f"answer-{n}").read_text(encoding="utf-8")[:300] for n in range(len(statuses))]
    assert statuses == promised(script), list(zip(statuses, answers, strict=True))


def test_the_readme_has_such_commands() -> None:
    assert (ROOT / "README.md") in PAGES
    assert len(promised("".join(blocks(ROOT / "README.md")))) >= 8


def test_a_call_without_a_status_is_noticed() -> None:
    assert promised('curl -d 1 \\\n  "$URL"   # 201: made\ncurl "$URL/a#200"  # 404') == [201, 404]
    with pytest.raises(AssertionError, match="no status"):
        promised('curl "$URL"  # all models')
