"""The services' command lines without starting Python for each: one process per service has imported it, and forks for each command.

For who gives many commands in a row: a system is seeded by two dozen, a test's tenant is made by eight. What runs is `main` of the
service's `cli.py`, in a process of its own, with its arguments, environment and standard streams, as `python -m services.<name>`
would have it. Where forking is not safe (anywhere but on Linux), that is what runs.
"""

import asyncio
import atexit
import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

from deploy.local.children import Child, ChildFailedError
from deploy.local.commands import answer_of, run_streams
from deploy.local.profile import ROOT

COMMAND_SECONDS_MAX: Final = 60.0
END_SECONDS_MAX: Final = 10.0  # of a process that was killed
LOOK_SECONDS: Final = 0.05
STREAM_BYTES_MAX: Final = 64 * 1024 * 1024  # of what a command prints

Main: TypeAlias = Callable[[Sequence[str]], int]

_desks: Final[dict[str, "_Desk"]] = {}


async def run_at_desk(service: str, *arguments: str, env: Mapping[str, str], stdin: str = "") -> dict[str, Any]:
    """`python -m services.<service> <arguments>`; the object that it prints. Raises ChildFailedError."""
    shown = f"services.{service} {' '.join(arguments[:2])}"
    return answer_of(*await operate(service, arguments, env=env, stdin=stdin), shown=shown)


async def operate(
    service: str, words: Sequence[str], *, env: Mapping[str, str], stdin: str = ""
) -> tuple[int, str, str]:
    """Exit status, standard output, standard error of `python -m services.<service> <words>`. Raises ChildFailedError."""
    if sys.platform != "linux":
        command = [sys.executable, "-m", f"services.{service}", *words]
        return await run_streams(command, shown=f"services.{service}", env=env, stdin=stdin)
    if service not in _desks:
        _desks[service] = _Desk(service)
    try:
        async with asyncio.timeout(COMMAND_SECONDS_MAX):
            return await _desks[service].ask({"words": list(words), "env": dict(env), "stdin": stdin})
    except TimeoutError as exc:
        raise ChildFailedError(f"services.{service} took longer than {COMMAND_SECONDS_MAX:.0f} s") from exc


def close_desks() -> None:
    """No more commands for now: the processes end."""
    while _desks:
        _desks.popitem()[1].close()


class _Desk:
    """The process that forks, from the outside. It ends with this one."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._folder = tempfile.TemporaryDirectory(prefix="desk-")
        self._socket = Path(self._folder.name) / "socket"
        env = {name: value for name, value in os.environ.items() if not name.startswith("FANGATE_")}
        command = [sys.executable, "-m", "deploy.local.operators", service, self._socket]
        self._child = Child.spawn("desk", command, env=env, log=Path(self._folder.name) / "log", cwd=ROOT)
        atexit.register(self.close)

    async def ask(self, asked: dict[str, Any]) -> tuple[int, str, str]:
        while not self._socket.exists():
            if self._child.exit_code is not None:
                raise ChildFailedError(f"services.{self._service} has no command line:\n{self._child.tail()}")
            await asyncio.sleep(LOOK_SECONDS)
        reader, writer = await asyncio.open_unix_connection(self._socket, limit=STREAM_BYTES_MAX)
        try:
            writer.write(json.dumps(asked).encode() + b"\n")
            told = await reader.readline()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        if not told:
            raise ChildFailedError(f"services.{self._service} was killed:\n{self._child.tail()}")
        status, out, err = json.loads(told)
        return status, out, err

    def close(self) -> None:
        atexit.unregister(self.close)
        self._child.kill(END_SECONDS_MAX)
        self._folder.cleanup()


# -- inside the process that forks


def serve(service: str, path: Path) -> None:
    """Fork for each connection until killed."""
    main: Main = importlib.import_module(f"services.{service}.cli").main
    gc.freeze()  # what is there is nobody's garbage: the children leave its pages alone
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries them
    with socket.socket(socket.AF_UNIX) as listening:
        unseen = path.with_suffix(".new")
        listening.bind(str(unseen))
        listening.listen(64)
        unseen.rename(path)
        while True:
            connection, _ = listening.accept()
            with connection:
                if os.fork() == 0:
                    listening.close()
                    _answer(connection, service, main)
                    os._exit(0)


def _answer(connection: socket.socket, service: str, main: Main) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    a_file = tempfile.TemporaryFile
    with connection.makefile("rwb") as stream, a_file() as stdin, a_file() as stdout, a_file() as stderr:
        asked = json.loads(stream.readline())
        stdin.write(asked["stdin"].encode())
        stdin.seek(0)
        for number, file in enumerate((stdin, stdout, stderr)):
            os.dup2(file.fileno(), number)
        os.environ.clear()
        os.environ.update(asked["env"])
        sys.argv = [str(ROOT / "services" / service / "__main__.py"), *asked["words"]]
        status = _status_of(main)
        sys.stdout.flush()
        sys.stderr.flush()
        told = [status, _text_of(stdout), _text_of(stderr)]
        stream.write(json.dumps(told).encode() + b"\n")


def _status_of(main: Main) -> int:
    try:
        return main(sys.argv[1:])
    except SystemExit as exc:
        if isinstance(exc.code, str):
            sys.stderr.write(exc.code + "\n")
        return exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1


def _text_of(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]))
