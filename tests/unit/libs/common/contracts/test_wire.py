"""From struct to bus: names, shards, headers, size caps; and the registry they come from."""

import uuid
from collections import Counter
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.contracts import billing, edge, sessions, takedowns
from libs.common.contracts.envelope import LEDGER_QUEUES, LEDGER_SHARDS, Kind, Message
from libs.common.contracts.registry import REGISTRY, MessageType, Registry
from libs.common.contracts.wire import COMMANDS, EVENTS, encode, shard_of
from libs.common.ids import id_ms, uuid7

ORG = uuid.UUID("0198c0de-0000-7000-8000-00000000a11c")
DEBITED = takedowns.BatchDebited(org_id=ORG, batch_id=uuid.UUID(int=7), amount=3)


def test_an_event_goes_to_events_a_command_to_commands() -> None:
    event = encode(billing.BalanceChanged(org_id=ORG, balance=1, version=2), org_id=ORG)
    assert (event.exchange, event.type, event.routing_key) == (
        EVENTS,
        "billing.balance.changed.v1",
        "billing.balance.changed.v1",
    )
    assert encode(billing.GetBalance(org_id=ORG)).exchange == COMMANDS
    assert encode(billing.CloseLease(org_id=ORG, lease_id=uuid.UUID(int=1))).exchange == COMMANDS


def test_money_carries_the_shard_of_its_organization() -> None:
    message = encode(DEBITED, org_id=ORG)
    assert message.routing_key == f"takedowns.batch.debited.v1.s{shard_of(ORG):02d}"
    assert message.type == "takedowns.batch.debited.v1"


def test_money_without_an_organization_is_refused() -> None:
    with pytest.raises(ValueError, match="organization"):
        encode(DEBITED)


def test_headers_carry_what_is_known_and_nothing_else() -> None:
    cause = uuid7()
    bare = encode(billing.GetBalance(org_id=ORG))
    full = encode(billing.GetBalance(org_id=ORG), org_id=ORG, cause=cause, traceparent="00-a-b-00")
    assert bare.headers == {"attempt": 1}
    assert full.headers == {"attempt": 1, "org": str(ORG), "cause": str(cause), "traceparent": "00-a-b-00"}


def test_a_message_id_is_fresh_unless_given() -> None:
    body = billing.GetBalance(org_id=ORG)
    assert encode(body).message_id != encode(body).message_id
    assert encode(body).message_id.version == 7
    assert encode(body, message_id=ORG).message_id == ORG


def test_a_body_may_be_as_large_as_its_type_allows_and_no_byte_more() -> None:
    def debit(memo: int) -> takedowns.BatchDebited:
        return takedowns.BatchDebited(org_id=ORG, batch_id=ORG, amount=1, memo="x" * memo)

    rest = (1 << 20) - len(msgspec.json.encode(debit(1))) + 1
    assert len(encode(debit(rest), org_id=ORG).body) == 1 << 20
    with pytest.raises(ValueError, match="1048577 bytes"):
        encode(debit(rest + 1), org_id=ORG)


def test_an_unregistered_struct_is_a_defect() -> None:
    class Stranger(Message, frozen=True, kw_only=True):
        """Nobody knows this one."""

    with pytest.raises(KeyError):
        encode(Stranger())


@given(st.uuids())
def test_a_shard_is_one_of_sixteen_and_stays_the_same(org_id: uuid.UUID) -> None:
    assert 0 <= shard_of(org_id) < LEDGER_SHARDS
    assert shard_of(org_id) == shard_of(uuid.UUID(str(org_id)))


def test_shards_are_even_and_divide_among_the_queues() -> None:
    counts = Counter(shard_of(uuid7()) for _ in range(8_000))
    assert len(counts) == LEDGER_SHARDS
    assert max(counts.values()) < 2 * min(counts.values())
    assert LEDGER_SHARDS % LEDGER_QUEUES == 0


def test_the_shard_of_an_organization_never_changes_between_releases() -> None:
    assert [shard_of(uuid.UUID(int=n)) for n in (0, 1, 2, 1 << 127)] == [5, 3, 9, 1]


@pytest.mark.parametrize("entry", list(REGISTRY), ids=lambda entry: entry.name)
def test_a_registered_type_is_named_by_the_rules(entry: MessageType) -> None:
    words = entry.name.split(".")
    assert words[0] == entry.owner
    assert words[-1][0] == "v"
    assert words[-1][1:].isdigit()
    assert (words[1] == entry.kind.value) == (entry.kind in {Kind.RPC, Kind.JOB})
    assert (entry.reply is not None) == (entry.kind is Kind.RPC)
    assert entry.senders
    assert entry.kind is not Kind.EVENT or entry.senders == (entry.owner,)
    assert entry.struct.__struct_config__.frozen
    assert REGISTRY.by_name(entry.name) is REGISTRY.of(entry.struct) is entry


def test_a_second_entry_for_a_name_or_a_struct_is_refused() -> None:
    entry = next(iter(REGISTRY))
    for twin in (
        msgspec.structs.replace(entry, name="other.v1"),
        msgspec.structs.replace(entry, struct=billing.Balance),
    ):
        with pytest.raises(ValueError, match="registered twice"):
            Registry((entry, twin))
    assert Registry((entry,)).by_name("nothing.v1") is None


def test_bodies_omit_defaults_and_readers_ignore_what_they_do_not_know() -> None:
    request = billing.OpenLease(org_id=ORG, holder="redis", ref="x")
    raw = encode(request).body
    assert b"amount" not in raw
    assert msgspec.json.decode(raw[:-1] + b',"later":1}', type=billing.OpenLease) == request


def test_usage_records_travel_as_arrays() -> None:
    usage = edge.Usage(id=uuid7(), org_id=ORG, lease_id=ORG, cost=2, key_id=ORG, model_id=ORG, route="messages_send")
    raw = encode(edge.UsageRecorded(records=(usage,)), org_id=ORG).body
    assert raw.startswith(b'{"records":[["')
    assert msgspec.json.decode(raw, type=edge.UsageRecorded).records == (usage,)


def test_dates_and_ids_survive_the_way() -> None:
    changed = billing.SubscriptionChanged(
        org_id=ORG, version=1, plan="pro", status="active", per_minute=300, per_day=50_000,
        period_start=datetime(2026, 1, 1, tzinfo=UTC), period_end=datetime(2026, 2, 1, tzinfo=UTC),
    )  # fmt: skip
    message = encode(changed, org_id=ORG)
    assert msgspec.json.decode(message.body, type=billing.SubscriptionChanged) == changed
    assert id_ms(message.message_id) > 1_700_000_000_000


def test_the_proxy_call_is_framed_and_may_be_large() -> None:
    entry = REGISTRY.of(sessions.Proxy)
    assert entry.framed
    assert entry.body_bytes_max == 8 << 20
