"""The committed definitions are what the topology says, and the topology gives every message its queue."""

import json
import re
from pathlib import Path

import pytest

from libs.common.bus import topology
from libs.common.contracts.envelope import LEDGER_SHARDS, Kind
from libs.common.contracts.registry import REGISTRY, MessageType
from libs.common.contracts.wire import COMMANDS, EVENTS

DEFINITIONS = Path(__file__).resolve().parents[2] / "deploy/rabbitmq/definitions.json"


def test_the_committed_definitions_are_what_the_generator_prints() -> None:
    printed = topology.definitions(users=dict.fromkeys(topology.USERS, ""))
    assert json.loads(DEFINITIONS.read_text(encoding="utf-8")) == printed, "run: make topology"


def test_the_committed_definitions_hold_no_password() -> None:
    committed = json.loads(DEFINITIONS.read_text(encoding="utf-8"))
    assert {user["password_hash"] for user in committed["users"]} == {""}


@pytest.mark.parametrize("entry", [entry for entry in REGISTRY if entry.kind is not Kind.EVENT], ids=lambda e: e.name)
def test_a_command_reaches_exactly_one_queue_of_its_owner(entry: MessageType) -> None:
    queues = [queue for queue in topology.QUEUES if topology.routes_to(queue, COMMANDS, entry.name)]
    assert [queue.name.split(".")[0] for queue in queues] == [entry.owner]
    assert (queues[0].policy == "rpc") is (entry.kind is Kind.RPC)


@pytest.mark.parametrize("entry", [entry for entry in REGISTRY if entry.kind is Kind.EVENT], ids=lambda e: e.name)
def test_an_event_reaches_a_queue_or_the_edges(entry: MessageType) -> None:
    key = f"{entry.name}.s00" if entry.sharded else entry.name
    is_broadcast = any(topology.matches(pattern, key) for pattern in topology.BROADCASTS)
    assert topology.is_kept(EVENTS, key) or is_broadcast


def test_each_shard_of_the_money_has_one_queue_with_a_single_active_consumer() -> None:
    for shard in range(LEDGER_SHARDS):
        key = f"edge.usage.recorded.v1.s{shard:02d}"
        queues = [queue for queue in topology.QUEUES if topology.routes_to(queue, EVENTS, key)]
        assert len(queues) == 1
        assert queues[0].single_active
        assert queues[0].name.startswith("billing.ledger.")


def test_a_service_may_send_what_the_registry_says_and_nothing_else() -> None:
    """The broker's topic permissions and the registry's senders agree."""
    for entry in REGISTRY:
        for name, user in topology.USERS.items():
            pattern = user.events_write if entry.kind is Kind.EVENT else user.commands_write
            may = re.search(pattern, entry.name) is not None
            if name in entry.senders:
                assert may, f"{name} cannot send {entry.name}"
            elif entry.kind is not Kind.RPC and name != entry.owner:
                # rpcs of takedowns to billing share a pattern; jobs and events are the owner's alone
                assert not may or name == "takedowns", f"{name} may send {entry.name}"


def test_definitions_for_some_users_name_only_those() -> None:
    own = topology.definitions("t", users={"edge": "secret"})
    assert [user["name"] for user in own["users"]] == ["edge"]
    assert {permission["user"] for permission in own["permissions"]} == {"edge"}
    assert "secret" not in json.dumps(own)
    assert {queue["vhost"] for queue in own["queues"]} == {"t"}
