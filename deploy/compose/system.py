"""The system in containers, by Compose 2 or 1.29: up, a first paid call, down."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from deploy.compose.secrets import OWNER, prepare
from deploy.documents import ROOT
from deploy.local import demo
from deploy.local.children import ChildFailedError
from deploy.local.commands import run_program
from deploy.local.profile import Profile
from deploy.local.seed import Seed
from deploy.system import PUBLIC_PORT, SERVICES

FILE: Final = ROOT / "deploy" / "compose" / "compose.yaml"
PROJECT: Final = "fangate"
_UP_SECONDS_MAX: Final = 300.0
_DOWN_SECONDS_MAX: Final = 150.0  # a service's grace, and the broker's
_LOOK_SECONDS: Final = 0.5
_CONTAINERS: Final = (*(service.name for service in SERVICES), "sandbox")


DESCRIBED: Final = "COMPOSE_SYSTEM"  # the environment variable that tells tests of a running project: `describe`


class Containers:
    """One Compose project. `docker` and `compose` are the programs' command lines, `environment` what they need."""

    def __init__(
        self,
        profile: Profile,
        *,
        docker: Sequence[str],
        compose: Sequence[str],
        environment: Mapping[str, str],
        project: str = PROJECT,
    ) -> None:
        self._profile, self._docker, self._project = profile, list(docker), project
        self._compose = [*compose, "-p", project, "-f", str(FILE)]
        self._environment = {**environment, "GATEWAY_SECRETS": str(prepare(profile))}
        self._description = {
            "profile": profile.name, "run": str(profile.run), "docker": list(docker), "compose": list(compose),
            "environment": dict(environment), "project": project,
        }  # fmt: skip

    def describe(self) -> str:
        """What `described` makes the same of, in another process."""
        return json.dumps(self._description)

    @classmethod
    def described(cls, text: str) -> Self:
        """The project that another process `describe`d."""
        told = json.loads(text)
        return cls(
            Profile(told["profile"], run=Path(told["run"])), docker=told["docker"], compose=told["compose"],
            environment=told["environment"], project=told["project"],
        )  # fmt: skip

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._environment.get('FANGATE_PORT', PUBLIC_PORT)}"

    @property
    def sandbox_url(self) -> str:
        return "http://sandbox:8090"  # inside only

    @property
    def admin_urls(self) -> str:
        return ""  # never published

    @property
    def mail_dir(self) -> str:
        return ""  # notices are kept in the database only

    def up(self, *, profiles: Sequence[str] = (), services: Sequence[str] = ()) -> None:
        """Start, and wait until every service is healthy. Raises ChildFailedError."""
        chosen = [argument for profile in profiles for argument in ("--profile", profile)]
        self._run(*chosen, "up", "-d", *services, timeout_s=_UP_SECONDS_MAX)
        end = time.monotonic() + _UP_SECONDS_MAX
        while waiting := [name for name in _CONTAINERS if self.health(name) != "healthy"]:
            if time.monotonic() > end:
                logs = self._run("logs", "--tail", "20", *waiting, timeout_s=30.0, check=False)
                raise ChildFailedError(f"not healthy: {', '.join(waiting)}\n{logs[-5000:]}")
            time.sleep(_LOOK_SECONDS)

    def down(self, *, volumes: bool = False) -> None:
        """Drain and remove the containers; with `volumes` the data too."""
        self._run(
            "--profile", "observability", "down", *(["--volumes"] if volumes else []), timeout_s=_DOWN_SECONDS_MAX
        )

    def health(self, service: str) -> str:
        """`healthy`, `starting`, `unhealthy`, or empty where there is no such container."""
        container = self.container(service)
        return str(self.inspect(container)["State"].get("Health", {}).get("Status", "")) if container else ""

    def container(self, service: str) -> str:
        """Its first container's id, or an empty string."""
        return (self._run("ps", "-q", service, timeout_s=30.0, check=False).split() or [""])[0]

    def address(self, service: str) -> str:
        """Where its first container is in the network that all share; another one after each of its starts."""
        networks = self.inspect(self.container(service))["NetworkSettings"]["Networks"]
        return str(networks[f"{self._project}_backing"]["IPAddress"])

    def process(self, service: str) -> int:
        """The number of its first container's process on this host; 0 while there is none."""
        return int(self.inspect(self.container(service))["State"]["Pid"])

    def secret(self, name: str) -> str:
        """What is in a file that the containers get."""
        return (Path(self._environment["GATEWAY_SECRETS"]) / name).read_text(encoding="utf-8")

    def inspect(self, container: str) -> dict[str, Any]:
        """What the daemon knows of a container."""
        found = subprocess.run(
            [*self._docker, "inspect", container],
            env=dict(self._environment),
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        documents: list[dict[str, Any]] = json.loads(found.stdout)
        return documents[0]

    async def run(self, service: str, *arguments: str, stdin: str = "") -> dict[str, Any]:
        """A service's command line inside its container; the object it prints. Raises ChildFailedError."""
        command = [
            *self._docker,
            "exec",
            "-i",
            self.container(service),
            "python",
            "-m",
            f"services.{service}",
            *arguments,
        ]
        return await run_program(
            command, shown=f"services.{service} {' '.join(arguments[:2])}", env=self._environment, stdin=stdin
        )

    async def demonstrate(self, say: Callable[[str], None]) -> None:
        """A demo organization, and one call of it that is paid. Raises ChildFailedError."""
        seed = Seed(self, self._profile.folder, self._profile.folder / "demo.env", self._database_id())
        await demo.show(await seed.plant(), seed.balance, say)

    def _database_id(self) -> str:
        query = "SELECT system_identifier FROM pg_control_system()"
        answer = subprocess.run(
            [*self._docker, "exec", self.container("postgres"), "psql", "-U", OWNER, "-d", OWNER, "-Atc", query],
            env=dict(self._environment), capture_output=True, text=True, check=True, timeout=30,
        )  # fmt: skip
        return answer.stdout.strip()

    def _run(self, *arguments: str, timeout_s: float, check: bool = True) -> str:
        done = subprocess.run(
            [*self._compose, *arguments], env=dict(self._environment), cwd=FILE.parent, capture_output=True, text=True, check=False,
            timeout=timeout_s,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise ChildFailedError(f"compose {arguments[0]} failed:\n{(done.stdout + done.stderr)[-3000:]}")
        return done.stdout


def installed() -> Containers:
    """With the Docker and Compose of this machine. Raises ChildFailedError where there is none."""
    docker = shutil.which("docker")
    if docker is None:
        raise ChildFailedError("there is no docker here; `make run` needs none")
    has_plugin = (
        subprocess.run([docker, "compose", "version"], capture_output=True, check=False, timeout=30).returncode == 0
    )
    compose = [docker, "compose"] if has_plugin else ["docker-compose"]
    if not has_plugin and shutil.which("docker-compose") is None:
        raise ChildFailedError("neither `docker compose` nor docker-compose is installed")
    return Containers(Profile("compose"), docker=[docker], compose=compose, environment=dict(os.environ))
