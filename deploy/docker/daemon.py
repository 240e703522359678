"""A private Docker daemon: its programs unpacked, its data and socket in folders of ours, the host's firewall left alone,
and nothing of it left afterwards.

Without address translation containers have no way out: images are built with the host's network, and ports are published
by docker-proxy, which works all the same.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from deploy.local.profile import RUN
from deploy.tools import ToolMissingError, fetch, find, libraries_of, path_of

FOLDER: Final = RUN / "docker"
READY_SECONDS_MAX: Final = 30.0
STOP_SECONDS_MAX: Final = 20.0
BRIDGE: Final = "docker0"  # the daemon makes it, and leaves it behind
SUBNET: Final = "172.30.255.1/24"
_LOOK_SECONDS: Final = 0.1


class NoDaemonError(Exception):
    """No daemon can run here; the message is one line with the reason."""


class Daemon:
    """Between `start` and `stop` it runs; `run` is the client."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._had_bridge = False
        self._short: Path | None = None  # a socket's path may have 107 bytes; the project's may be longer

    @property
    def environment(self) -> Mapping[str, str]:
        """For the client and for everything that speaks to the daemon."""
        return {
            "PATH": path_of("docker"),
            "HOME": str(FOLDER),
            "DOCKER_HOST": f"unix://{self._short}/docker.sock",
            "DOCKER_CONFIG": str(FOLDER / "client"),  # no plugins and no logins of the person's
            "DOCKER_BUILDKIT": "1",
            "BUILDKIT_PROGRESS": "plain",
        }

    @property
    def _own_environment(self) -> dict[str, str]:
        libraries = libraries_of("docker")
        return {**self.environment, "LD_LIBRARY_PATH": libraries, "XTABLES_LIBDIR": f"{libraries}/xtables"}

    @property
    def client(self) -> Path:
        """A client that can `RUN --mount` with the builder inside the daemon: the one of the daemon's own package."""
        found = shutil.which("docker", path=path_of("docker"))
        assert found is not None
        return Path(found)

    def start(self) -> None:
        """Start it and wait until it answers. Raises NoDaemonError."""
        if os.geteuid() != 0:
            raise NoDaemonError("a private Docker daemon needs root")
        try:
            fetch("docker")
        except ToolMissingError as exc:
            raise NoDaemonError(str(exc)) from None
        self.remove()
        FOLDER.mkdir(parents=True)
        self._short = Path(tempfile.mkdtemp(prefix="fangate-docker-"))
        self._had_bridge = _has_bridge()
        program = find("docker", "dockerd")
        assert program is not None
        command = [
            str(program), "--host", f"unix://{self._short}/docker.sock", "--data-root", str(FOLDER / "data"),
            "--exec-root", str(self._short / "exec"), "--pidfile", str(FOLDER / "pid"), "--bip", SUBNET,
            "--iptables=false", "--ip-masq=false", "--ip-forward=false",
        ]  # fmt: skip
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                env=self._own_environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + READY_SECONDS_MAX
        while self.run("version", check=False).returncode != 0:
            if self._process.poll() is not None or time.monotonic() > end:
                last = (self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["no reason"])[
                    -1
                ]
                self.stop()
                raise NoDaemonError(f"dockerd did not start: {last[-300:]}")
            time.sleep(_LOOK_SECONDS)

    @property
    def log(self) -> Path:
        return FOLDER / "dockerd.log"

    def run(
        self,
        *arguments: object,
        check: bool = True,
        timeout_s: float = 60.0,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """`docker <arguments>`. Raises CalledProcessError with `check`, TimeoutExpired."""
        return subprocess.run(
            [self.client, *(str(argument) for argument in arguments)], env={**self.environment, **(env or {})}, text=True,
            capture_output=True, check=check, timeout=timeout_s, input=stdin,
        )  # fmt: skip

    def stop(self) -> None:
        """Remove every container, end the daemon and take away what it leaves: data, mounts, its bridge."""
        if self._process is not None:
            if self._process.poll() is None:
                containers = self.run("ps", "-aq", check=False).stdout.split()
                if containers:
                    self.run("rm", "-f", "-v", *containers, check=False)
                self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(STOP_SECONDS_MAX)
            self._process = None
        if self._short is not None:
            _unmount_below(self._short)
            shutil.rmtree(self._short, ignore_errors=True)
            self._short = None
            if not self._had_bridge and _has_bridge():
                _quietly(["ip", "link", "delete", BRIDGE])
        self.remove()

    def remove(self) -> None:
        """Delete what a stopped daemon has left."""
        _unmount_below(FOLDER)
        shutil.rmtree(FOLDER, ignore_errors=True)


def _has_bridge() -> bool:
    return Path("/sys/class/net", BRIDGE).exists()


def _unmount_below(folder: Path) -> None:
    """A killed daemon leaves mounts; deleting through one would delete what is mounted there."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    for mount in sorted((mount for mount in mounts if Path(mount).is_relative_to(folder)), key=len, reverse=True):
        _quietly(["umount", "--lazy", mount])


def _quietly(command: Sequence[str]) -> None:
    subprocess.run(command, check=False, capture_output=True, timeout=STOP_SECONDS_MAX)
