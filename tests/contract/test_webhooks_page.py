"""What docs/webhooks.md promises receivers is what the code does: events, the ladder, the bounds, and its example."""

import re
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue

from services.auth.domain.webhook import (
    ATTEMPTS_MAX,
    FAILING_DAYS_MAX,
    IN_FLIGHT_MAX,
    KEPT_DAYS,
    LADDER_SECONDS,
    OVERLAP_SECONDS_MAX,
)
from services.auth.domain.webhook_events import EVENT_TYPES
from services.auth.gateways.receivers import TOTAL_SECONDS, signed
from services.auth.usecases.create_webhook import new_secret
from tests.unit.services.auth.domain.test_webhook import a_sending

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
UNITS = {"s": 1, "min": 60, "h": 3_600}


def test_every_event_is_on_the_page_and_no_other() -> None:
    table = PAGE.partition("## Events")[2]
    assert re.findall(r"^\| `([a-z0-9_.]+)` \|", table, re.MULTILINE) == list(EVENT_TYPES)


def test_the_page_tells_the_ladder_and_the_bounds() -> None:
    told = re.search(r"\*\*Tried again\*\* after ([^.]*?), each give or take a tenth", PAGE)
    assert told is not None
    rungs = [(int(number), unit) for number, unit in re.findall(r"(\d+) (s|min|h)\b", told[1])]
    assert tuple(number * UNITS[unit] for number, unit in rungs) == LADDER_SECONDS
    assert ATTEMPTS_MAX == 8
    assert "eight attempts" in PAGE
    assert f"within {TOTAL_SECONDS:.0f} seconds" in PAGE
    assert f"At most {IN_FLIGHT_MAX} requests to one endpoint" in PAGE
    assert f"nothing was taken for {FAILING_DAYS_MAX} days" in PAGE
    assert f"replayed for {KEPT_DAYS} days" in PAGE
    assert OVERLAP_SECONDS_MAX == 7 * 86_400
    assert "at most seven" in PAGE


def test_the_example_of_a_receiver_works() -> None:
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert code is not None
    secret, queue = new_secret(), SimpleQueue[object]()
    names: dict[str, object] = {"SECRET": secret, "seen": set(), "queue": queue}
    exec(code[1], names)
    receive = names["receive"]
    assert callable(receive)
    sending = a_sending(secrets=(secret,), body='{"type":"x"}')
    headers = signed(sending, datetime.now(UTC))
    assert [receive(sending.body.encode(), headers) for _ in range(2)] == [204, 204]
    assert queue.get_nowait() == {"type": "x"}
    assert queue.empty(), "the second time it is known"
    assert receive(b"{}", headers) == 400
