"""`python -m services.sessions.sandbox`: serve the sandbox platform on FANGATE_HOST:FANGATE_PORT_SANDBOX until a signal."""

from aiohttp import web

from libs.common.process import Process, run
from libs.common.settings import CommonSettings, Secret, load
from libs.common.telemetry.log import logger
from services.sessions.sandbox.grants import Client
from services.sessions.sandbox.server import build_application
from services.sessions.sandbox.world import World

SERVICE = "sandbox"


class Settings(CommonSettings, frozen=True, kw_only=True):
    """What the sandbox reads beside the common settings."""

    host: str = "127.0.0.1"
    port: int = 8090
    fanvue_client_id: str = ""  # the app that is registered here: what sessions says of itself; empty = none
    fanvue_client_secret: Secret = Secret("")
    fanvue_redirect_url: str = ""
    fanvue_auth_url: str = ""  # this server, as browsers reach it; empty = it does not say who it is


class Listener:
    """The listening server, as a resource of the process."""

    def __init__(self, runner: web.AppRunner) -> None:
        self._runner = runner

    async def close(self) -> None:
        await self._runner.cleanup()


async def build(process: Process) -> None:
    """Start to listen."""
    settings = load(Settings, service=SERVICE)
    world = World()
    world.grants.client = Client(
        settings.fanvue_client_id, settings.fanvue_client_secret.reveal(), settings.fanvue_redirect_url
    )
    world.grants.issuer = settings.fanvue_auth_url
    runner = web.AppRunner(build_application(world), access_log=None, handle_signals=False)
    await runner.setup()
    await process.closing(Listener(runner))
    await web.TCPSite(runner, host=settings.host, port=settings.port, backlog=1_024).start()
    logger(__name__).info("listening", host=settings.host, port=settings.port)


if __name__ == "__main__":
    run(SERVICE, build)
