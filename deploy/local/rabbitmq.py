"""A private RabbitMQ node with a name server (epmd) of its own; neither outlives us."""

import asyncio
import shutil
from pathlib import Path
from typing import Final

import aiormq

from deploy.local.children import Child
from deploy.local.management import Management
from deploy.local.profile import write_private
from deploy.local.programs import Programs
from deploy.local.readiness import NotOursError

ADMIN: Final = "admin"
_WHOLE: Final = "whole"
PORTS: Final = ("amqp", "management", "distribution", "epmd")

_CONFIG: Final = """\
listeners.tcp.1 = 127.0.0.1:{amqp}
management.tcp.ip = 127.0.0.1
management.tcp.port = {management}
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 50MB
cluster_name = {cluster_name}
default_user = {user}
default_pass = {password}
log.console = false
log.file = rabbit.log
log.file.level = warning
"""


def prepare(folder: Path) -> None:
    """Make the folder, without what an interrupted first start left in it: the node would wait for its tables for ever."""
    if not (folder / _WHOLE).exists():
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def mark_whole(folder: Path) -> None:
    """The node was ready once: its data may be used again."""
    (folder / _WHOLE).touch()


def spawn_epmd(programs: Programs, folder: Path, ports: dict[str, int], *, path: str, log: Path) -> Child:
    """Start the name server: our own child, for one that Erlang starts by itself would stay behind."""
    command = [programs.epmd, "-port", str(ports["epmd"]), "-address", "127.0.0.1"]
    return Child.spawn("epmd", command, env=environment(folder, ports, path), log=log, cwd=folder)


async def listens(port: int) -> None:
    """Raises OSError if nobody listens. Enough for epmd, which has no identity; the node checks what it finds there."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    await writer.wait_closed()


def spawn(
    programs: Programs, folder: Path, ports: dict[str, int], *, password: str, nonce: str, path: str, log: Path
) -> Child:
    """Start the node with the administrator `admin`/`password`; `check` tells when it is there."""
    config = _CONFIG.format(**ports, cluster_name=f"fangate-{nonce}", user=ADMIN, password=password)
    write_private(folder / "rabbitmq.conf", config)
    (folder / "enabled_plugins").write_text("[rabbitmq_management].\n", encoding="ascii")
    return Child.spawn(
        "rabbitmq", [programs.rabbitmq_server], env=environment(folder, ports, path), log=log, cwd=folder
    )


async def check(ports: dict[str, int], password: str, nonce: str) -> None:
    """Raises NotOursError if the broker does not carry our `nonce`, another error if it or its management API is not up."""
    await listens(ports["amqp"])  # first: aiormq logs every refused connection as an error
    connection = await aiormq.connect(f"{amqp_url(ports['amqp'], ADMIN, password)}?timeout=3")
    try:
        name = connection.server_properties.get("cluster_name", b"")
    finally:
        await connection.close()
    answered = name.decode() if isinstance(name, bytes) else str(name)
    if answered != f"fangate-{nonce}":
        raise NotOursError(f"port {ports['amqp']} belongs to the cluster {answered}")
    await Management(management_url(ports["management"], password)).ping()


def amqp_url(port: int, user: str, password: str, vhost: str = "%2F") -> str:
    return f"amqp://{user}:{password}@127.0.0.1:{port}/{vhost}"


def management_url(port: int, password: str) -> str:
    return f"http://{ADMIN}:{password}@127.0.0.1:{port}"


def environment(folder: Path, ports: dict[str, int], path: str) -> dict[str, str]:
    """All the node sees: nothing is inherited but PATH. HOME holds the Erlang cookie; a fixed node name keeps the data
    valid when ports change; `+sbwt none` stops the schedulers from busy-waiting two cores away.
    """
    return {
        "PATH": path,
        "HOME": str(folder),
        "RABBITMQ_NODENAME": "fangate@localhost",
        "RABBITMQ_DIST_PORT": str(ports["distribution"]),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "gen"),
        "RABBITMQ_SCHEMA_DIR": str(folder / "schema"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        # The script then becomes the node instead of guarding it, so that a signal to our child reaches the node.
        "RABBITMQ_ALLOW_INPUT": "1",
        "RABBITMQ_SERVER_START_ARGS": "-noinput",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
            "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none"
        ),
        "ERL_EPMD_PORT": str(ports["epmd"]),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_CRASH_DUMP": "/dev/null",
        "LANG": "C.UTF-8",
    }
