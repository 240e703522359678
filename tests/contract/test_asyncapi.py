"""The committed AsyncAPI document is valid, says what the registry says, and is true of the messages themselves."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from libs.common.bus import asyncapi, topology
from libs.common.contracts.envelope import Kind
from libs.common.contracts.registry import REGISTRY, MessageType

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "docs/asyncapi.json"
GOLDEN = Path(__file__).parent / "golden"
SPECIFICATION = json.loads((Path(__file__).parent / "schemas/asyncapi-3.0.0.json").read_text(encoding="utf-8"))
DOCUMENT = json.loads(asyncapi.printed())


def test_the_committed_document_is_what_the_generator_prints() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == asyncapi.printed(), "run: make asyncapi"


def test_it_is_asyncapi_3() -> None:
    jsonschema.Draft7Validator(SPECIFICATION).validate(DOCUMENT)
    broken = copy.deepcopy(DOCUMENT)
    broken["operations"]["billing.rpc.lease.open.v1"]["action"] = "ask"
    assert not jsonschema.Draft7Validator(SPECIFICATION).is_valid(broken)


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        node = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            node = node[name]


@pytest.mark.parametrize("entry", list(REGISTRY), ids=lambda entry: entry.name)
def test_a_message_is_there_with_its_owner_senders_and_queues(entry: MessageType) -> None:
    operation, channel = DOCUMENT["operations"][entry.name], DOCUMENT["channels"][entry.name]
    assert (operation["x-owner"], operation["x-senders"]) == (entry.owner, list(entry.senders))
    assert ("reply" in operation) is (entry.kind is Kind.RPC)
    assert channel["x-queues"], "nobody takes it"
    assert set(channel["x-queues"]) <= {queue.name for queue in topology.QUEUES} | {"edges"}
    assert DOCUMENT["components"]["messages"][entry.name]["summary"], "its struct has no docstring"


@pytest.mark.parametrize("entry", list(REGISTRY), ids=lambda entry: entry.name)
def test_the_golden_messages_are_as_the_document_says(entry: MessageType) -> None:
    check(DOCUMENT["components"]["messages"][entry.name]["payload"], GOLDEN / f"{entry.name}.json")
    if entry.reply is not None:
        answer = DOCUMENT["components"]["messages"][f"reply.{entry.reply.__name__}"]["payload"]
        check(answer["properties"]["ok"], GOLDEN / f"{entry.name}.reply.json")


def check(schema: dict[str, Any], golden: Path) -> None:
    whole = {**schema, "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(whole).validate(json.loads(golden.read_text(encoding="utf-8")))


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in references(value)]
    return [found for value in node for found in references(value)] if isinstance(node, list) else []
