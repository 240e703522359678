"""`python -m deploy.docker`: proves the image and compose on a private Docker daemon, of which nothing is left afterwards.

Lints the Dockerfiles, builds the image (on stand-ins for its base images where no registry answers), looks at what is in
it, starts the whole system, makes the README's first call, lets Prometheus find every container, shows of it what callers
are promised, runs tests against servers in containers, and takes everything down. Where no daemon can run it says why and ends with status 0: this machine
cannot tell.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from deploy.compose.system import Containers
from deploy.docker import promises
from deploy.docker.daemon import Daemon, NoDaemonError
from deploy.docker.images import APP, POSTGRES, RABBITMQ, VALKEY, ImageError, NoImagesError, prepare
from deploy.documents import ROOT
from deploy.local import ports
from deploy.local.children import ChildFailedError
from deploy.local.profile import Profile
from deploy.monitoring.alerts import JOB
from deploy.system import SERVICES, USER_ID
from deploy.tools import ToolMissingError, fetch, find, libraries_of

_PROJECT: Final = "fangate-verify"
_START_SECONDS_MAX: Final = 15.0  # of a process in the image, to its first complaint, also on a busy machine
_SCRAPED_SECONDS_MAX: Final = 60.0
_TESTS_SECONDS_MAX: Final = 900.0  # each test's servers start anew in containers: minutes on a busy machine
_TESTS: Final = (
    "tests/integration/libs/test_migrate.py",
    "tests/integration/libs/test_timers.py",
    "tests/contract/bus/test_rpc.py",
)
_HARDENED: Final = (
    "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp", "--network", "none"  # noqa: S108 (inside)
)  # fmt: skip


class NotAsPromisedError(Exception):
    """A check failed; the message says which."""


def main() -> int:
    """Exit status 0 when all is as promised, or no daemon can run here; else 1."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended from outside, it takes down what it started
    daemon, profile = Daemon(), Profile("docker-verify")
    started = time.monotonic()
    shown: list[promises.Shown] = []
    try:
        _lint()
        daemon.start()
        standins = prepare(daemon, _say)
        _step("the image holds what it should", lambda: _look_inside(daemon))
        profile.remove()
        containers = _containers(daemon, profile)
        try:
            _step("compose: every service is healthy", containers.up)
            _step("containers are as hardened as they say", lambda: _look_at(containers))
            _step("a first call, paid", lambda: asyncio.run(containers.demonstrate(_say)))
            _step("Prometheus finds every service", lambda: _scraped(daemon, containers))
            _step("what callers are promised", lambda: shown.extend(promises.show(containers, profile.folder)))
        finally:
            _step("compose: drained and gone", lambda: containers.down(volumes=True))
        _step("tests on servers in containers", lambda: _test(daemon))
    except (NoDaemonError, NoImagesError) as exc:
        _say(f"SKIPPED: {exc}")
        return 0
    except (
        NotAsPromisedError, promises.BrokenPromiseError, ImageError, ChildFailedError, ToolMissingError,
        subprocess.SubprocessError,
    ) as exc:  # fmt: skip
        _say(f"FAILED: {exc}")
        return 1
    finally:
        daemon.stop()
        profile.remove()
    for line in shown:
        _say(f"          {line}")
    _say(f"{time.monotonic() - started:6.1f} s  in all; stand-ins: {', '.join(standins) or 'none'}")
    return 0


def _lint() -> None:
    fetch("python")
    hadolint = find("python", "hadolint")
    assert hadolint is not None
    files = [
        ROOT / "deploy" / "docker" / "Dockerfile",
        *sorted((ROOT / "deploy" / "docker" / "standins").glob("*.Dockerfile")),
    ]
    # Our own image names no user by name; the stand-ins do, as the real images.
    done = subprocess.run(
        [hadolint, "--ignore", "DL3066", *files], capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode != 0:
        raise NotAsPromisedError(f"hadolint:\n{done.stdout}")
    _say(f"          hadolint: {len(files)} files")


def _look_inside(daemon: Daemon) -> None:
    """The image's settings, and how a process in it behaves with nothing writable and no privileges."""
    (image,) = json.loads(daemon.run("image", "inspect", APP).stdout)
    config = image["Config"]
    _expect(config["User"] == f"{USER_ID}:{USER_ID}", f"user is {config['User']}")
    _expect(config["StopSignal"] == "SIGTERM", "stop signal")
    _expect("/readyz" in str(config["Healthcheck"]["Test"]), "health check")
    _expect(config["Labels"]["org.opencontainers.image.version"] == "dev", "labels")
    _expect(not any("DSN" in variable or "URL" in variable for variable in config["Env"]), "no address in the image")
    version = "import importlib.metadata as m, os; print(m.version('fangate'), os.getuid())"
    said = daemon.run("run", "--rm", *_HARDENED, APP, "python", "-c", version).stdout.split()
    _expect(said == ["dev", str(USER_ID)], f"version and user inside: {said}")
    for absent in ("pip", "deploy", "tests", "pytest"):
        done = daemon.run("run", "--rm", *_HARDENED, APP, "python", "-c", f"import {absent}", check=False)
        _expect("ModuleNotFoundError" in done.stderr, f"{absent} is in the image")
    for service in SERVICES:
        began = time.monotonic()
        done = daemon.run("run", "--rm", *_HARDENED, APP, "python", "-m", f"services.{service.name}", check=False)
        _expect(
            done.returncode == 2 and "is not set" in done.stderr,
            f"{service.name} without settings: {done.stderr[-300:]}",
        )
        _expect(time.monotonic() - began < _START_SECONDS_MAX, f"{service.name} starts slowly")
    done = daemon.run("run", "--rm", *_HARDENED, APP, "touch", "/opt/fangate/app/planted", check=False)
    _expect("Read-only file system" in done.stderr, "the root is writable")


def _look_at(containers: Containers) -> None:
    """What the daemon enforces on the running containers, and that no secret is in their environment."""
    for name in (*(service.name for service in SERVICES), "sandbox"):
        shown = containers.inspect(containers.container(name))
        host = shown["HostConfig"]
        _expect(host["ReadonlyRootfs"], f"{name}: writable root")
        _expect(host["CapDrop"] == ["ALL"], f"{name}: capabilities {host['CapDrop']}")
        _expect("no-new-privileges:true" in host["SecurityOpt"], f"{name}: new privileges")
        _expect(name == "edge" or not host["PortBindings"], f"{name}: a published port")
        _expect(
            not any("://" in text and "@" in text for text in shown["Config"]["Env"]),
            f"{name}: a login in the environment",
        )


def _scraped(daemon: Daemon, containers: Containers) -> None:
    """The committed configuration finds every service and the broker, and no rule is broken."""
    containers.up(profiles=["observability"], services=["prometheus"])
    address = daemon.run("port", containers.container("prometheus"), "9090").stdout.split()[0]
    end = time.monotonic() + _SCRAPED_SECONDS_MAX
    wanted = {(JOB, service.name) for service in SERVICES} | {("rabbitmq", "")}
    while missing := wanted - _up(address):
        _expect(time.monotonic() < end, f"not scraped: {sorted(missing)}")
        time.sleep(1.0)


def _up(address: str) -> set[tuple[str, str]]:
    query = urllib.parse.urlencode({"query": "up == 1"})
    try:
        with urllib.request.urlopen(f"http://{address}/api/v1/query?{query}", timeout=5) as answer:
            results: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    except OSError:  # it is still starting
        return set()
    return {(each["metric"]["job"], each["metric"].get("service", "")) for each in results}


def _test(daemon: Daemon) -> None:
    """Integration tests with FANGATE_SERVERS=docker; they really use containers, and leave none."""
    began = int(time.time())
    env = {**os.environ, **daemon.environment, "PATH": os.environ["PATH"], "FANGATE_SERVERS": "docker"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *_TESTS], cwd=ROOT, env=env, capture_output=True, text=True, check=False,
        timeout=_TESTS_SECONDS_MAX,
    )  # fmt: skip
    _expect(done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:])
    window = ("--since", began, "--until", int(time.time()) + 1)
    started = daemon.run("events", *window, "--filter", "event=start", "--format", "{{.From}}").stdout.split()
    _expect({POSTGRES, VALKEY, RABBITMQ} <= set(started), f"the tests started only {started}")
    left = daemon.run("ps", "-aq").stdout.split()
    _expect(not left, f"the tests left containers: {left}")
    _say(f"          {done.stdout.strip().splitlines()[-1]}")


def _containers(daemon: Daemon, profile: Profile) -> Containers:
    fetch("compose")
    compose = find("compose", "docker-compose")
    assert compose is not None
    port, prometheus_port = ports.pick(2)
    environment = {
        **daemon.environment, "LD_LIBRARY_PATH": libraries_of("compose"), "PYTHONPATH": _packages(compose),
        "FANGATE_PORT": str(port), "PROMETHEUS_PORT": str(prometheus_port), "GATEWAY_IMAGE": APP,
        "COMPOSE_DOCKER_CLI_BUILD": "1",
    }  # fmt: skip
    return Containers(
        profile, docker=[str(daemon.client)], compose=[str(compose)], environment=environment, project=_PROJECT
    )


def _packages(compose: Path) -> str:
    """Where an unpacked Compose finds what it imports; nothing for an installed one."""
    folder = compose.parent.parent / "lib" / "python3" / "dist-packages"
    return str(folder) if folder.parts[:3] != ("/", "usr", "lib") else ""


def _step(what: str, step: Callable[[], None]) -> None:
    began = time.monotonic()
    step()
    _say(f"{time.monotonic() - began:6.1f} s  {what}")


def _expect(holds: object, otherwise: str) -> None:
    if not holds:
        raise NotAsPromisedError(otherwise)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
