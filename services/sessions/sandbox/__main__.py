"""`python -m services.sessions.sandbox`: serve the sandbox platform on FANGATE_HOST:FANGATE_PORT_SANDBOX until a signal."""

import asyncio
import contextlib
import signal
import sys

from aiohttp import web

from libs.common.settings import CommonSettings, SettingsError, load
from libs.common.telemetry.log import configure_logging, logger
from services.sessions.sandbox.server import build


class Settings(CommonSettings, frozen=True, kw_only=True):
    """Settings of the service name `sandbox`."""

    host: str = "127.0.0.1"
    port: int = 8090


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    runner = web.AppRunner(build(), access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, host=settings.host, port=settings.port, backlog=1_024).start()
        logger(__name__).info("ready", host=settings.host, port=runner.addresses[0][1])
        stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        await stopped.wait()
    finally:
        await runner.cleanup()


def main() -> int:
    """The exit code."""
    try:
        settings = load(Settings, service="sandbox")
    except SettingsError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    configure_logging("sandbox", level=settings.log_level)
    with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C while closing
        asyncio.run(serve(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
