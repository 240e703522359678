"""Spans and errors leave a process for a real collector on a socket: what it is told, what it is never told, and that neither
a collector that is away nor an extra that is missing holds the process up.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from deploy.local import ports
from deploy.local.profile import ROOT
from tests.support.collectors import Collector, a_collector

# As in example_process.py: a key, a login, a password, a session.
PLANTED = ("Ab3Ab3", "planted-user", "planted-word", "planted-password-1", "planted-session-2")
END_SECONDS_MAX = 20.0

# An environment in which the extras cannot be imported, as in the image.
WITHOUT_EXTRAS = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"opentelemetry", "sentry_sdk"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
"""


async def run_example(*modes: str, before: str = "", **environ: str) -> tuple[int, list[dict[str, Any]]]:
    """Run it until it is ready, end it; its exit status and log."""
    code = (
        f"{before}\nimport runpy, sys\nrunpy.run_module('tests.integration.libs.example_process', run_name='__main__')"
    )
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("FANGATE_", "OTEL_", "SENTRY_"))}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *modes,
        cwd=ROOT, env={**inherited, **environ}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    lines: list[dict[str, Any]] = []
    async with asyncio.timeout(END_SECONDS_MAX):
        while raw := await process.stdout.readline():
            lines.append(json.loads(raw))
            if lines[-1]["event"] == "ready":
                process.terminate()
        return await process.wait(), lines


@pytest.fixture
async def sentry() -> Any:
    async with a_collector() as collector:
        yield collector


def dsn_of(collector: Collector) -> str:
    return collector.url.replace("http://", "http://public-key@") + "/1"


async def test_an_error_reaches_sentry_with_what_finds_it_again(sentry: Collector) -> None:
    status, _ = await run_example("defect", SENTRY_DSN=dsn_of(sentry))

    # then everything that was logged as an error with an exception is there when the process has ended
    assert status == 0
    (event,) = [each for each in sentry.events if each["contexts"]["log"]["event"] == "unhandled error"]
    assert event["tags"]["service"] == "billing"
    assert event["contexts"]["log"]["request_id"] == "a-request"
    types = [each["type"] for each in event["exception"]["values"]]
    assert types == ["KeyError", "RuntimeError"]
    frames = [frame["function"] for each in event["exception"]["values"] for frame in each["stacktrace"]["frames"]]
    assert "meet_a_defect" in frames


async def test_no_secret_reaches_sentry(sentry: Collector) -> None:
    await run_example("defect", SENTRY_DSN=dsn_of(sentry))
    sent = b"".join(sentry.raw).decode()
    assert "refused with ***" in sent
    assert [secret for secret in PLANTED if secret in sent] == []
    assert '"vars"' not in sent
    assert '"request"' not in sent
    assert '"user"' not in sent


async def test_without_a_dsn_nothing_is_sent_and_nothing_imported(sentry: Collector) -> None:
    ask = "import atexit, sys; atexit.register(lambda: sys.stdout.write('{\"event\": \"%s\"}\\n' % ('sentry_sdk' in sys.modules)))"
    status, lines = await run_example("defect", before=ask)
    assert (status, lines[-1]["event"]) == (0, "False")
    assert sentry.raw == []


@pytest.mark.alone  # it measures time
@pytest.mark.parametrize("extra", ["otel", "sentry"])
async def test_a_collector_that_is_away_does_not_hold_the_end_up(extra: str) -> None:
    (nobody,) = ports.pick(1)
    asked = {
        "otel": {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{nobody}"},
        "sentry": {"SENTRY_DSN": f"http://key@127.0.0.1:{nobody}/1"},
    }
    started = time.monotonic()
    status, _ = await run_example("defect", **asked[extra])
    assert status == 0
    assert time.monotonic() - started < END_SECONDS_MAX


async def test_what_is_asked_for_and_not_installed_is_said_and_the_process_runs() -> None:
    status, lines = await run_example(
        before=WITHOUT_EXTRAS, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1", SENTRY_DSN="http://key@127.0.0.1:1/1"
    )
    assert status == 0
    assert [line["extra"] for line in lines if "extra" in line] == ["otel", "sentry"]


def test_a_service_without_otel_variables_imports_nothing_of_it_and_wraps_nothing() -> None:
    code = """
import sys
from libs.common.telemetry import spans
from libs.common.telemetry.extras import Extras
import services.auth.app, services.billing.app, services.edge.app, services.sessions.app, services.takedowns.app
extras = Extras.of({"OTEL_SERVICE_NAME": "x"}, service="edge", version="1", environment="test")
assert not extras.processors and not extras.missing and spans.recorder() is None
# A library (redis) looks for OpenTelemetry by itself where it is installed; what sends anything is this:
unwanted = {"libs.common.telemetry.otel", "libs.common.telemetry.sentry", "sentry_sdk", "opentelemetry.exporter", "opentelemetry.sdk.trace"}
assert not unwanted & set(sys.modules), unwanted & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_switch_of_the_sdk_switches_it_off() -> None:
    code = """
from libs.common.telemetry import spans
from libs.common.telemetry.extras import Extras
Extras.of({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}, service="edge", version="1", environment="test")
assert spans.recorder() is None
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_extras_of_the_project_are_those_of_the_lock() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    wanted = [line for line in (ROOT / "requirements" / "extras.in").read_text().splitlines() if line[:1] not in "#-"]
    assert [line for line in wanted if f'"{line}"' not in project] == []
    assert Path(ROOT / "requirements" / "extras.txt").is_file()
