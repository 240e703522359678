"""Logs: one JSON object a line, and no secret in any of them, however it got there."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from libs.common.ids import KEY_KINDS, new_key
from libs.common.settings import Secret
from libs.common.telemetry.log import MASK, configure_logging, logger, redact

KEY = new_key("fgk_")
PASSWORD = "correct-horse-battery"
WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def output() -> Iterator[io.BytesIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.BytesIO()
    configure_logging("billing", level="debug", stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


def lines(stream: io.BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_service_level_time_and_module(output: io.BytesIO) -> None:
    logger("some.module").info("lease opened", org_id="o", granted=7)
    (line,) = lines(output)
    assert line["event"] == "lease opened"
    assert (line["service"], line["level"], line["module"], line["granted"]) == ("billing", "info", "some.module", 7)
    assert line["timestamp"].endswith("Z")


@pytest.mark.usefixtures("output")  # which puts everything back
def test_lines_below_the_level_are_not_written() -> None:
    stream = io.BytesIO()
    configure_logging("billing", level="warning", stream=stream)
    logger(__name__).info("quiet")
    logger(__name__).warning("loud")
    assert [line["event"] for line in lines(stream)] == ["loud"]


def test_frame_locals_are_never_printed(output: io.BytesIO) -> None:
    def connect(password: str) -> None:
        prepared = password * 2
        raise RuntimeError(f"refused {len(prepared)}")

    try:
        connect(PASSWORD)
    except RuntimeError as exc:
        logger(__name__).error("failed", exc_info=exc)
    text = output.getvalue().decode()
    assert "refused 42" in text
    assert "connect" in text  # the frame is there, its values are not
    assert PASSWORD not in text


def test_planted_secrets_appear_in_no_line(output: io.BytesIO) -> None:
    log = logger(__name__)
    log.info(f"caller used {KEY}")
    log.info("x", url=f"postgresql://fangate:{PASSWORD}@db:5432/x", secrets=[PASSWORD], password=PASSWORD)
    log.info("x", headers={"Authorization": f"Bearer {PASSWORD}", "X-API-Key": PASSWORD, "Cookie": f"sid={PASSWORD}"})
    log.info("x", nested={"a": [{"b": {"note": f"key={KEY}", "session_data": PASSWORD}}]}, body=f"{WEBHOOK_SECRET}!")
    log.info("x", setting=Secret(PASSWORD), pair=(KEY, {KEY}))
    log.info("x", deep={"a": {"b": {"c": {"d": {"e": {"f": {"g": KEY}}}}}}})
    logging.getLogger("aiohttp.access").warning("GET /?key=%s", KEY)
    try:
        raise ValueError(f"bad key {KEY}")
    except ValueError:
        logging.getLogger("asyncio").exception("task failed with %s", KEY)
        log.exception("failed")
    with structlog.contextvars.bound_contextvars(token=PASSWORD):
        log.info("bound")
    text = output.getvalue().decode()
    assert len(lines(output)) == 10
    for secret in (KEY, PASSWORD, WEBHOOK_SECRET):
        assert secret not in text
    assert MASK in text
    assert "db:5432" in text  # what is no secret stays readable


def test_libraries_speak_through_our_logger_and_only_when_something_is_wrong(output: io.BytesIO) -> None:
    logging.getLogger("aio_pika").info("chatter")
    logging.getLogger("aio_pika").warning("connection lost")
    (line,) = lines(output)
    assert (line["event"], line["module"], line["level"]) == ("connection lost", "aio_pika", "warning")


@given(st.sampled_from(sorted(KEY_KINDS)), st.text(), st.text())
def test_a_key_inside_any_text_is_masked(prefix: str, before: str, after: str) -> None:
    key = new_key(prefix)
    shown = redact(None, "info", {"event": f"{before}{key}{after}", "list": [{"x": (key,)}]})
    assert key not in repr(shown)


@pytest.mark.parametrize(
    "name",
    ["password", "Passwd", "api_key", "apikey", "X-API-Token", "authorization", "set-cookie", "session", "session_data",
     "postgres_dsn", "client_secret", "pepper", "credentials", "two_factor_code"],
)  # fmt: skip
def test_values_under_telling_names_are_masked(name: str) -> None:
    assert redact(None, "info", {name: "value", "in": {name: ["value"]}}) == {name: MASK, "in": {name: MASK}}


@pytest.mark.parametrize("name", ["session_id", "sessions", "status_code_class", "event", "org_id", "key_id", "route"])
def test_ordinary_names_keep_their_values(name: str) -> None:
    assert redact(None, "info", {name: "value"}) == {name: "value"}


def test_values_without_json_are_written_as_text(output: io.BytesIO) -> None:
    logger(__name__).info("x", what={1: object, "set": {1}}, when=Secret("y"))
    (line,) = lines(output)
    assert line["what"]["set"] == [1]
    assert line["when"] == "Secret('***')"
