"""Which letters are meant, and how one is reborn."""

import pytest

from libs.common.bus.channels import NO_RECEIPT
from libs.common.bus.deadletters import Filter, described, parse, reborn
from libs.common.bus.retry import dead_letter
from libs.common.bus.transport import Delivery
from libs.common.errors import Permanent


def a_letter() -> Delivery:
    alive = Delivery(
        queue="sessions.jobs", type="sessions.job.connect.v1", message_id="m", user="sessions", body=b'{"a":1}',
        headers={"attempt": 4, "org": "o", "x-death": [1]}, receipt=NO_RECEIPT,
    )  # fmt: skip
    copy = dead_letter(alive, "permanent", Permanent("no such table"), 4, "sessions")
    return Delivery(
        queue="sessions.jobs", type=copy.type, message_id=copy.message_id, user="sessions", body=copy.body,
        headers=copy.headers | {"x-delivery-count": 1}, receipt=NO_RECEIPT,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "takes"),
    [
        (Filter(), True), (Filter(type="sessions.job.connect.v1"), True), (Filter(type="sessions.job.refresh.v1"), False),
        (Filter(error="permanent"), True), (Filter(error="Permanent"), True), (Filter(error="such table"), True),
        (Filter(error="Transient"), False), (Filter(org="o"), True), (Filter(org="p"), False),
        (Filter(org="o", error="Transient"), False),
    ],
)  # fmt: skip
def test_filters(wanted: Filter, takes: bool) -> None:
    assert wanted.takes(a_letter()) is takes


def test_a_reborn_message_is_a_first_attempt_with_its_id_and_without_its_obituary() -> None:
    parcel = reborn(a_letter(), "sessions.jobs", by="ana", new_id=False)
    assert (parcel.exchange, parcel.routing_key, parcel.message_id, parcel.body) == (
        "",
        "sessions.jobs",
        "m",
        b'{"a":1}',
    )
    assert parcel.headers == {"attempt": 1, "org": "o", "replayed-by": "ana"}
    assert reborn(a_letter(), "sessions.jobs", by="ana", new_id=True).message_id != "m"


def test_a_letter_is_described_without_the_brokers_headers() -> None:
    line = described(a_letter(), with_body=True)
    assert line["dead-reason"] == "permanent"
    assert line["body"] == '{"a":1}'
    assert not [name for name in line if name.startswith("x-")]


def test_only_queues_with_dead_letters_can_be_named() -> None:
    assert parse(["list", "billing.ledger.0"]).limit == 100
    with pytest.raises(SystemExit):
        parse(["list", "billing.rpc"])
