"""The services' own command lines, called as an operator would: one JSON object on standard output, or one line of complaint."""

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any, Final

from deploy.local.children import ChildFailedError
from deploy.local.profile import ROOT

_SECONDS_MAX: Final = 60.0
_NOT_ANNOUNCED: Final = 3  # the change stands; the running service tells the bus


async def run_command(service: str, *arguments: str, env: Mapping[str, str], stdin: str = "") -> dict[str, Any]:
    """`python -m services.<service> <arguments>`; the object that it prints. Raises ChildFailedError, TimeoutError."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"services.{service}", *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        cwd=ROOT, env=env,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_SECONDS_MAX):
            out, err = await process.communicate(stdin.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode not in {0, _NOT_ANNOUNCED}:
        complaint = err.decode("utf-8", "replace").strip()[-2000:]
        raise ChildFailedError(f"services.{service} {' '.join(arguments[:2])} failed: {complaint}")
    answer: dict[str, Any] = json.loads(out)
    return answer
