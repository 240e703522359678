"""`python -m deploy.local` as a person uses it: up, status, demo, down, Ctrl-C; and what is never left behind."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from deploy.local import bootstrap, ports, programs
from deploy.local.children import Child, Identity, started_at
from deploy.local.environment import read_env_file
from deploy.local.profile import ROOT, Profile
from deploy.local.programs import MissingProgramsError
from deploy.local.servers import PrivateServers
from tests.support.processes import descendants, gone, until

START_SECONDS_MAX = 120


class Launcher:
    """The command line with a folder and ports of its own; its path has a space in it."""

    def __init__(self, tmp_path: Path, **variables: str) -> None:
        self.folder = tmp_path / "run here"
        port, admin_port = ports.pick(2)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("FANGATE_")}
        self.env |= {"FANGATE_PORT": str(port), "FANGATE_ADMIN_PORT": str(admin_port), **variables}
        self.profile = Profile("dev", run=self.folder)

    def command(self, verb: str) -> list[str]:
        return [sys.executable, "-m", "deploy.local", "--run-dir", str(self.folder), verb]

    async def __call__(self, verb: str) -> tuple[int, str]:
        """Exit status and everything it printed."""
        process = await asyncio.create_subprocess_exec(
            *self.command(verb), cwd=ROOT, env=self.env,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode()

    @property
    def demo(self) -> dict[str, str]:
        return read_env_file((self.folder / "demo.env").read_text(encoding="utf-8"))

    def processes(self) -> list[Identity]:
        """The launcher and everything below it."""
        return descendants([int(self.profile.state()["launcher"][0])])

    async def call(self) -> int:
        """The status of a call with the demo key."""
        url = f"{self.demo['FANGATE_URL']}/api/models/{self.demo['FANGATE_MODEL_ID']}/chats"
        headers = {"X-API-Key": self.demo["FANGATE_API_KEY"]}
        async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as answer:
            return answer.status


async def exit_status(child: Child) -> int | None:
    """How it ended, within a minute; None if it did not."""
    await child.wait(60)
    return child.exit_code


@pytest.mark.alone  # it measures time
@pytest.mark.timeout(400)
async def test_up_is_quick_the_second_time_and_a_killed_launcher_leaves_no_child(tmp_path: Path) -> None:
    launcher = Launcher(tmp_path)
    try:
        # when it starts
        status, text = await launcher("up")
        assert status == 0, text
        assert await launcher.call() == 200
        assert set(launcher.demo) == {
            "FANGATE_URL", "FANGATE_API_KEY", "FANGATE_LIMITED_API_KEY", "FANGATE_PLATFORM_API_KEY", "FANGATE_CREATOR_ID",
            "FANGATE_SANDBOX_API_KEY",
            "FANGATE_MODEL_ID", "FANGATE_MODEL_ACCOUNT", "FANGATE_USER_API_KEY", "FANGATE_USER_EMAIL", "FANGATE_USER_PASSWORD",
            "FANGATE_APP_CLIENT_ID", "FANGATE_APP_CLIENT_SECRET",
            "FANGATE_SANDBOX_URL", "FANGATE_ADMIN_URLS", "FANGATE_MAIL_DIR",
        }  # fmt: skip
        assert (launcher.folder / "demo.env").stat().st_mode & 0o777 == 0o600
        assert (launcher.folder / "env").stat().st_mode & 0o777 == 0o600
        keys, processes = launcher.demo, launcher.processes()

        # then a second `up` finds it, and `status` and `demo` show it
        started = time.monotonic()
        assert (await launcher("up"))[0] == 0
        assert time.monotonic() - started < 5
        assert (await launcher("status"))[0] == 0
        status, text = await launcher("demo")
        assert status == 0, text
        assert "(used: 1)" in text

        # when a service is killed, it comes back
        edge = dict(launcher.profile.processes())["edge"]
        os.kill(edge.pid, signal.SIGKILL)
        await until(lambda: dict(launcher.profile.processes()).get("edge", edge) != edge, timeout_s=20)

        # when the launcher is killed, the kernel ends the rest
        processes = launcher.processes()
        os.kill(int(launcher.profile.state()["launcher"][0]), signal.SIGKILL)
        await until(lambda: gone(processes), timeout_s=15)
        assert (await launcher("status"))[0] == 1

        # then the next start heals: same data, same keys
        status, text = await launcher("up")
        assert status == 0, text
        assert launcher.demo["FANGATE_API_KEY"] == keys["FANGATE_API_KEY"]
        assert launcher.demo["FANGATE_SANDBOX_API_KEY"] == keys["FANGATE_SANDBOX_API_KEY"]
        assert launcher.demo["FANGATE_MODEL_ID"] == keys["FANGATE_MODEL_ID"]
        assert await launcher.call() == 200
        processes = launcher.processes()
    finally:
        status, text = await launcher("down")
    assert status == 0, text
    assert gone(processes)
    assert (await launcher("down")) == (0, "not running\n")
    # keys are for people, not for logs
    logs = "".join(log.read_text(encoding="utf-8") for log in launcher.folder.rglob("*.log"))
    assert [name for name, value in keys.items() if name.endswith("API_KEY") and value in logs] == []


@pytest.mark.timeout(300)
async def test_run_on_given_servers_shows_a_paid_call_and_ctrl_c_leaves_no_process(tmp_path: Path) -> None:
    # given servers that somebody else runs
    theirs = Profile("theirs", run=tmp_path)
    theirs.open()
    servers = PrivateServers(theirs, is_durable=False)
    await servers.start()
    given = servers.endpoints
    launcher = Launcher(
        tmp_path, FANGATE_POSTGRES_DSN=given.postgres_dsn, FANGATE_REDIS_URL=given.redis_url,
        FANGATE_AMQP_URL=given.amqp_url, FANGATE_MANAGEMENT_URL=given.management_url,
    )  # fmt: skip
    log = tmp_path / "out"
    try:
        run = Child.spawn("run", launcher.command("run"), env=launcher.env, log=log, cwd=ROOT)
        await until(lambda: "Ctrl-C stops" in run.tail() or run.exit_code is not None, timeout_s=START_SECONDS_MAX)
        text = log.read_text(encoding="utf-8")
        assert run.exit_code is None, text
        assert "balance in the ledger: 109,996 before, 109,995 after (used: 1)" in text
        assert await launcher.call() == 200
        processes = launcher.processes()
        assert {name for name, _ in launcher.profile.processes()} == {
            "sandbox",
            "billing",
            "auth",
            "sessions",
            "takedowns",
            "edge",
        }

        run.send(signal.SIGINT)

        assert await exit_status(run) == 0
        assert gone(processes)
        # and their servers stay, each still the one that was given
        assert [child.name for child in servers.children if child.exit_code is not None] == []
    finally:
        await servers.stop()
        theirs.close()
        servers.remove()


async def test_given_servers_that_do_not_answer_are_named(tmp_path: Path) -> None:
    (port,) = ports.pick(1)
    launcher = Launcher(
        tmp_path, FANGATE_POSTGRES_DSN=f"postgresql://x@127.0.0.1:{port}/x",
        FANGATE_REDIS_URL=f"redis://127.0.0.1:{port}", FANGATE_AMQP_URL=f"amqp://x:y@127.0.0.1:{port}/",
    )  # fmt: skip
    status, text = await launcher("run")
    assert status == 1
    assert "FANGATE_POSTGRES_DSN: no usable server there" in text


async def test_half_a_set_of_given_servers_is_refused(tmp_path: Path) -> None:
    status, text = await Launcher(tmp_path, FANGATE_REDIS_URL="redis://127.0.0.1:6379")("run")
    assert status == 1
    assert "set also: FANGATE_POSTGRES_DSN, FANGATE_AMQP_URL" in text


async def test_a_stale_memory_signals_nobody(tmp_path: Path) -> None:
    # given a process that has the numbers of one we once started, but not its start time
    launcher = Launcher(tmp_path)
    bystander = await asyncio.create_subprocess_exec("sleep", "60")
    try:
        launcher.profile.folder.mkdir(parents=True)
        launcher.profile.remember(
            phase="ready",
            launcher=[bystander.pid, "another boot/1"],
            processes=[["edge", bystander.pid, "another boot/1"]],
        )

        assert await launcher("down") == (0, "not running\n")
        assert (await launcher("status"))[0] == 1
        assert started_at(bystander.pid) != ""
    finally:
        bystander.kill()
        await bystander.wait()


def test_a_profile_belongs_to_one_process_at_a_time(tmp_path: Path) -> None:
    profile = Profile("dev", run=tmp_path)
    profile.open()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "deploy.local", "--run-dir", str(tmp_path), "run"],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 2
        assert done.stdout.count("\n") == 1
        assert "already runs" in done.stdout
    finally:
        profile.close()


def test_a_missing_program_is_one_line_and_exit_status_2(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # given a machine without Redis, where nothing may be installed
    for name in ("postgres", "initdb", "epmd", "sh"):
        (tmp_path / name).symlink_to(shutil.which(name) or "/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(programs._PLACES, "redis-server", (str(tmp_path / "nowhere"),))
    monkeypatch.setattr(bootstrap, "_as_root", lambda: None)
    for name in ("FANGATE_POSTGRES_DSN", "FANGATE_REDIS_URL", "FANGATE_AMQP_URL"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(MissingProgramsError):
        programs.find_programs()
    status = bootstrap.main(["servers"])

    assert status == 2
    complaint = capfd.readouterr().err
    assert complaint.count("\n") == 1
    assert "apt-get install -y redis-server" in complaint


def test_an_unreadable_memory_is_no_memory(tmp_path: Path) -> None:
    profile = Profile("dev", run=tmp_path)
    profile.folder.mkdir()
    for text in ("", "{", "[]", json.dumps({"ports": 5, "processes": 7})):
        (profile.folder / "state.json").write_text(text, encoding="utf-8")
        assert profile.ports() == {}
        assert profile.processes() == []
