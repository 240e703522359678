"""The life of a process: start, be ready, drain, close. A service's `__main__.py` is one call of `run`.

    run("billing", build)          # async def build(process: Process) -> None: wires everything and returns

Exit status: 0 drained after SIGTERM or SIGINT, 1 something broke, 2 a setting is wrong, 130 a second signal.
"""

import asyncio
import gc
import importlib.metadata
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, NoReturn, Protocol, TypeVar

from libs.common.http.health import AdminPort, Health
from libs.common.settings import CommonSettings, SettingsError, load
from libs.common.telemetry.extras import Extras
from libs.common.telemetry.log import configure_logging, logger
from libs.common.telemetry.metrics import BUILD_INFO, UNHANDLED_ERRORS, watch_event_loop

CLOSE_SECONDS: Final = 5.0  # for one resource, or for all background tasks, to let go
DRAIN_STEP_SECONDS: Final = 2.0  # what a drain step may take even if those before it used up the time
# Python's default looks for cycles after 700 new objects: a tenth of a loaded edge's CPU, for calls leave hardly any cycles.
GARBAGE_THRESHOLDS: Final = (10_000, 20, 20)

_log = logger(__name__)


class Closable(Protocol):
    """Whatever holds connections, files or ports."""

    async def close(self) -> None: ...


T = TypeVar("T", bound=Closable)


class Process:
    """What `build` gets: it registers here what the process must close, run, check and finish."""

    def __init__(self, service: str, settings: CommonSettings) -> None:
        self.service = service
        self.settings = settings
        self._health = Health()
        # From the start: a series that is born with its first error has not risen, and its alert would miss it.
        self._unhandled_errors = UNHANDLED_ERRORS.labels(service)
        self._resources: list[Closable] = []
        self._steps: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        self._background: set[asyncio.Task[Any]] = set()
        self._end = asyncio.Event()
        self._asked_to_end = False  # a signal came
        self._exit_status = 0

    @property
    def draining(self) -> bool:
        """True from the moment a signal came: finish what was started, start nothing."""
        return self._health.state == "draining"

    async def closing(self, resource: T) -> T:
        """Await `resource.close()` at the end of the process; resources close in reverse order of registration."""
        self._resources.append(resource)
        return resource

    def start(self, name: str, coro: Coroutine[Any, Any, Any]) -> None:
        """Run `coro` in the background for as long as the process lives. If it ends by itself before the drain, with or
        without an error, the process ends with status 1: a worker that is gone unnoticed is worse than a restart.
        """
        task = asyncio.get_running_loop().create_task(coro, name=name)
        self._background.add(task)
        task.add_done_callback(self._background_ended)

    def ready_when(self, name: str, check: Callable[[], Awaitable[None]]) -> None:
        """Be ready only while `check` returns; it raises with the reason, and gets 1 s."""
        self._health.checks[name] = check

    def on_drain(self, name: str, step: Callable[[], Awaitable[None]]) -> None:
        """At SIGTERM or SIGINT, after `/readyz` turned 503, await `step`; steps run one after the other, as registered,
        while the background tasks still run. Together they get FANGATE_DRAIN_SECONDS.
        """
        self._steps.append((name, step))

    async def live(self, build: Callable[["Process"], Awaitable[None]]) -> int:
        """Be this process from start to end; answers its exit status. Raises what `build` raises."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._unhandled)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)
        admin = await AdminPort.open(self.settings.admin_host, self.settings.admin_port, self._health)
        try:
            self.start("event loop watch", watch_event_loop())
            if await self._built(build):
                _spare_the_built()
                self._health.state = "running"
                _log.info("ready", admin_host=self.settings.admin_host, admin_port=admin.port, pid=os.getpid())
                await self._end.wait()
            await self._drain()
        finally:
            await self._close()
            await admin.close()
        _log.info("ended", status=self._exit_status)
        return self._exit_status

    async def _built(self, build: Callable[["Process"], Awaitable[None]]) -> bool:
        """Run `build` until it returns (True) or the end came first (False): a start that waits for a database can be
        interrupted.
        """

        async def wire() -> None:
            await build(self)

        building = asyncio.create_task(wire(), name="build")
        ending = asyncio.create_task(self._end.wait(), name="end")
        try:
            await asyncio.wait({building, ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ending.cancel()
            if not building.done():
                building.cancel()
            await asyncio.wait({building})
        if not building.cancelled():
            building.result()
        return not self._end.is_set()

    async def _drain(self) -> None:
        self._health.state = "draining"
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self.settings.drain_seconds
        for name, step in self._steps:
            try:
                async with asyncio.timeout_at(max(give_up, loop.time() + DRAIN_STEP_SECONDS)):
                    await step()
            except TimeoutError:
                _log.warning("drain step ran out of time", step=name)
            except Exception as exc:
                _log.error("drain step failed", step=name, exc_info=exc)

    async def _close(self) -> None:
        self._health.state = "draining"
        tasks = set(self._background)
        for task in tasks:
            task.cancel()
        if tasks:
            _, stuck = await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
            for task in stuck:
                _log.warning("background task does not end", task=task.get_name())
        for resource in reversed(self._resources):
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await resource.close()
            except Exception as exc:
                _log.warning("resource did not close", resource=type(resource).__name__, exc_info=exc)

    def _background_ended(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        error = None if task.cancelled() else task.exception()
        if self.draining:
            if error is not None:
                _log.warning("background task failed during the drain", task=task.get_name(), exc_info=error)
            return
        self._unhandled_errors.inc()
        _log.error("background task ended by itself", task=task.get_name(), exc_info=error)
        self._exit_status = 1
        self._end.set()

    def _signalled(self, number: signal.Signals) -> None:
        if self._asked_to_end:
            _log.warning("second signal: ending at once", signal=number.name)
            sys.stdout.flush()
            os._exit(130)
        self._asked_to_end = True
        _log.info("draining", signal=number.name)
        self._health.state = "draining"
        self._end.set()

    def _unhandled(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._unhandled_errors.inc()
        _log.error("unhandled error", reason=context.get("message"), exc_info=context.get("exception"))


def run(service: str, build: Callable[[Process], Awaitable[None]]) -> NoReturn:
    """Be the process of `service`: settings, logs, `build`, ready, drain, exit."""
    try:
        settings = load(CommonSettings, service=service)
        if settings.log_level.upper() not in logging.getLevelNamesMapping():
            raise SettingsError(f"FANGATE_LOG_LEVEL: no such level (service {service})")
    except SettingsError as exc:
        _refuse(exc)
    version = _version()
    extras = Extras.of(os.environ, service=service, version=version, environment=settings.env)
    configure_logging(service, level=settings.log_level, also=extras.processors)
    for missing in extras.missing:
        _log.warning("asked for, but the extra is not installed", extra=missing)
    BUILD_INFO.labels(service, version).set(1)

    async def live() -> int:
        return await Process(service, settings).live(build)

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            status = runner.run(live())
    except SettingsError as exc:
        _refuse(exc)
    except Exception as exc:
        _log.error("the process could not start", exc_info=exc)
        status = 1
    extras.close()
    sys.exit(status)


def _spare_the_built() -> None:
    """Modules, wiring and catalogues live as long as the process: no later look for garbage walks through them again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


def _refuse(error: SettingsError) -> NoReturn:
    sys.stderr.write(f"{error}\n")
    sys.exit(2)


def _version() -> str:
    try:
        return importlib.metadata.version("fangate")
    except importlib.metadata.PackageNotFoundError:
        return "dev"  # run from the tree


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # optional
        return None
    return uvloop.new_event_loop
