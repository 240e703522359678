"""The services' own command lines, called as an operator would: one JSON object on standard output, or one line of complaint."""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from deploy.local.children import ChildFailedError
from deploy.local.profile import ROOT

_SECONDS_MAX: Final = 60.0
_NOT_ANNOUNCED: Final = 3  # the change stands; the running service tells the bus


async def run_command(service: str, *arguments: str, env: Mapping[str, str], stdin: str = "") -> dict[str, Any]:
    """`python -m services.<service> <arguments>`; the object that it prints. Raises ChildFailedError."""
    shown = f"services.{service} {' '.join(arguments[:2])}"
    return await run_program(
        [sys.executable, "-m", f"services.{service}", *arguments], shown=shown, env=env, stdin=stdin
    )


async def run_program(command: Sequence[str], *, shown: str, env: Mapping[str, str], stdin: str = "") -> dict[str, Any]:
    """Any program that ends in such an object. Raises ChildFailedError naming what is `shown`."""
    return answer_of(*await run_streams(command, shown=shown, env=env, stdin=stdin), shown=shown)


async def run_streams(
    command: Sequence[str], *, shown: str, env: Mapping[str, str], stdin: str = ""
) -> tuple[int, str, str]:
    """Exit status, standard output, standard error. Raises ChildFailedError where it takes too long."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        cwd=ROOT, env=env,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_SECONDS_MAX):
            out, err = await process.communicate(stdin.encode())
    except TimeoutError as exc:
        raise ChildFailedError(f"{shown} took longer than {_SECONDS_MAX:.0f} s") from exc
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")


def answer_of(status: int, out: str, err: str, *, shown: str) -> dict[str, Any]:
    """The object that such a program printed. Raises ChildFailedError naming what is `shown`."""
    complaint = err.strip()[-2000:]
    if status not in {0, _NOT_ANNOUNCED}:
        raise ChildFailedError(f"{shown} failed: {complaint}")
    try:
        answer: dict[str, Any] = json.loads(out)
    except ValueError as exc:
        raise ChildFailedError(f"{shown} printed no JSON: {out[:200]!r} {complaint}") from exc
    return answer
