"""`python -m deploy.local run|up|down|status|demo`: the local system in the foreground, in the background, and about it.

Exit status: 0 done · 1 something failed or does not run · 2 something is missing or in the way; one line says what.
"""

import argparse
import asyncio
import logging
import os
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from deploy.local import demo
from deploy.local.children import ChildFailedError, is_alive, signal_if_alive, tail_of
from deploy.local.environment import SettingError, instances, read_env_file
from deploy.local.ports import NoFreePortError
from deploy.local.profile import ROOT, RUN, Profile, ProfileBusyError
from deploy.local.programs import MissingProgramsError
from deploy.local.seed import balance_of_running
from deploy.local.stack import Stack, launcher_of
from deploy.local.terminal import LogFollower, say

EXIT_FAILED: Final = 1
EXIT_REFUSED: Final = 2
EXIT_INTERRUPTED: Final = 130
UP_SECONDS_MAX: Final = 300.0  # the first start on a slow machine
DOWN_SECONDS_MAX: Final = 180.0  # every service's drain, one after the other, and the broker's good order
_LOOK_SECONDS: Final = 0.1


def main(argv: Sequence[str]) -> int:
    """Run one command; answers the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--run-dir", type=Path, default=RUN, help="where servers and services keep their files (default: .run)"
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, verb, purpose in (
        ("run", run, "start everything, make a paid call, stay until Ctrl-C"),
        ("up", up, "the same in the background; returns when all is ready"),
        ("down", down, "drain and stop what `up` started"),
        ("status", status, "what runs, and whether it is ready"),
        ("demo", show_demo, "one paid call on the running system"),
        ("serve", serve, "what `up` starts; not for people"),
    ):
        commands.add_parser(name, help=purpose, description=purpose).set_defaults(command=verb)
    options = parser.parse_args(argv)
    command: Callable[[Profile], int] = options.command
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # it reports refused connections that we expect
    try:
        return command(Profile("dev", run=options.run_dir.resolve()))
    except ProfileBusyError:
        say("Fangate already runs from this folder: `make status` shows it, `make down` stops it")
    except (MissingProgramsError, NoFreePortError, SettingError) as exc:
        say(str(exc))
    return EXIT_REFUSED


def run(profile: Profile) -> int:
    """In the foreground."""
    return asyncio.run(_run(profile, is_for_a_person=True))


def serve(profile: Profile) -> int:
    """In the background: the process behind `up`."""
    return asyncio.run(_run(profile, is_for_a_person=False))


async def _run(profile: Profile, *, is_for_a_person: bool) -> int:
    names = instances(os.environ)  # before anything starts: it may be refused
    if os.environ.get("FANGATE_SERVERS", "native") != "native":
        raise SettingError(
            "FANGATE_SERVERS: `native` is all that the launcher starts; the whole system in containers: make compose"
        )
    profile.open()
    stack = Stack(profile, say)
    interrupted = _on_signals(stack)
    work = asyncio.create_task(_start(stack, profile, is_for_a_person=is_for_a_person))
    stop = asyncio.create_task(interrupted.wait())
    try:
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
            await _stay(profile, names, stop, is_for_a_person=is_for_a_person)
        else:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
    except ChildFailedError as exc:
        say(str(exc))
        return EXIT_FAILED
    finally:
        stop.cancel()
        await stack.stop()
        profile.close()
    return 0


async def _start(stack: Stack, profile: Profile, *, is_for_a_person: bool) -> None:
    await stack.start()
    if is_for_a_person:
        assert stack.seed is not None
        await demo.show(stack.demo, stack.seed.balance, say)
        _summary(profile)


async def _stay(profile: Profile, names: list[str], stop: asyncio.Task[bool], *, is_for_a_person: bool) -> None:
    if not is_for_a_person:
        await stop
        return
    say("running; the services' logs follow; Ctrl-C stops everything\n")
    follower = LogFollower(profile.folder / "log", names)
    following = asyncio.create_task(follower.run())
    try:
        await stop
    finally:
        following.cancel()
        follower.flush()


def _on_signals(stack: Stack) -> asyncio.Event:
    """Set at the first SIGINT or SIGTERM; the second one kills and ends at once."""
    interrupted = asyncio.Event()

    def on_signal() -> None:
        if interrupted.is_set():
            stack.kill_all()
            os._exit(EXIT_INTERRUPTED)
        interrupted.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    return interrupted


def up(profile: Profile) -> int:
    """Start the background process, or find it running; return when all is ready."""
    if not profile.is_held:
        profile.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        profile.remember(phase="called", launcher=None)
        log = profile.folder / "launcher.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "deploy.local", "--run-dir", str(profile.run), "serve"],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        exit_code = _until_ready(profile, process.poll)
        if exit_code != 0:
            say(tail_of(log))
            return exit_code
    elif (exit_code := _until_ready(profile, lambda: None if profile.is_held else EXIT_FAILED)) != 0:
        say(f"it did not become ready; see {profile.folder / 'launcher.log'}")
        return exit_code
    _summary(profile)
    return 0


def _until_ready(profile: Profile, exit_code: Callable[[], int | None]) -> int:
    end = time.monotonic() + UP_SECONDS_MAX
    while profile.state().get("phase") != "ready":
        if (code := exit_code()) is not None:
            return code or EXIT_FAILED
        if time.monotonic() > end:
            return EXIT_FAILED
        time.sleep(_LOOK_SECONDS)
    return 0


def down(profile: Profile) -> int:
    """Stop what runs; nothing running is fine."""
    launcher = launcher_of(profile)
    if launcher is None or not signal_if_alive(launcher, signal.SIGTERM):
        for _, identity in profile.processes():  # of a launcher that was killed; proven to be ours
            signal_if_alive(identity, signal.SIGKILL)
        say("not running")
        return 0
    end = time.monotonic() + DOWN_SECONDS_MAX
    while is_alive(launcher) and time.monotonic() < end:
        time.sleep(_LOOK_SECONDS)
    if signal_if_alive(launcher, signal.SIGKILL):
        say(f"it did not stop in {DOWN_SECONDS_MAX:.0f} s and was killed")
        return EXIT_FAILED
    say("stopped")
    return 0


def status(profile: Profile) -> int:
    """One line per process. Exit status 1 unless everything runs and is ready."""
    state = profile.state()
    launcher = launcher_of(profile)
    if launcher is None or not is_alive(launcher):
        say("not running")
        return EXIT_FAILED
    alive = dict(profile.processes())
    admin_urls = dict(pair.split("=", 1) for pair in str(state.get("admin_urls", "")).split(",") if pair)
    is_well = state.get("phase") == "ready"
    for name, pid, _ in state.get("processes", []):
        word = "runs" if name in alive else "gone"
        if name in admin_urls:
            word = "ready" if _is_ready(admin_urls[name]) else "not ready"
        is_well = is_well and word in {"runs", "ready"}
        say(f"{name:<10} {word:<10} pid {pid:<8} {admin_urls.get(name, '')}".rstrip())
    say(f"{state.get('phase')}  {state.get('url', '')}")
    return 0 if is_well else EXIT_FAILED


def show_demo(profile: Profile) -> int:
    """One paid call with the keys of `.run/demo.env`."""
    path = profile.run / "demo.env"
    if profile.state().get("phase") != "ready" or not path.exists():
        say("not running: `make up` starts it")
        return EXIT_FAILED
    try:
        asyncio.run(demo.show(read_env_file(path.read_text(encoding="utf-8")), balance_of_running(profile), say))
    except ChildFailedError as exc:
        say(str(exc))
        return EXIT_FAILED
    return 0


def _is_ready(admin_url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{admin_url}/readyz", timeout=2) as answer:  # noqa: S310 (an address of ours)
            return bool(answer.status == 200)
    except OSError:  # refused, or another status
        return False


def _summary(profile: Profile) -> None:
    path = profile.run / "demo.env"
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    say(f"\nFangate is ready. Written to {shown}:\n")
    for name, value in read_env_file(path.read_text(encoding="utf-8")).items():
        say(f"  {name}={value}")
    say(f"\n  . {shlex.quote(str(shown))}")
    say('  curl -H "X-API-Key: $FANGATE_API_KEY" "$FANGATE_URL/api/models/$FANGATE_MODEL_ID/chats"\n')


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
