"""Every message type has a golden file, as some version of us once wrote it, and can still be read from it.

Golden files are added, never edited: a change that breaks one breaks the messages that lie in queues while services roll
out. Such a change is a new version of the type, published beside the old one. A field that came later has a file of its own,
`<type>+<what it is>.json`.
"""

from pathlib import Path

import msgspec
import pytest

from libs.common.contracts.envelope import Kind, Message
from libs.common.contracts.registry import REGISTRY, MessageType

GOLDEN = Path(__file__).parent / "golden"
BODIES: dict[str, type[Message]] = {entry.name: entry.struct for entry in REGISTRY} | {
    f"{entry.name}.reply": entry.reply for entry in REGISTRY if entry.reply is not None
}


@pytest.mark.parametrize("name", sorted(BODIES))
def test_a_registered_type_is_read_from_its_golden_file(name: str) -> None:
    for file in (GOLDEN / f"{name}.json", *sorted(GOLDEN.glob(f"{name}+*.json"))):
        raw = file.read_bytes()

        message = msgspec.json.decode(raw, type=BODIES[name])

        # Every field of the file is still understood, and what we write today reads back the same.
        assert set(msgspec.json.decode(raw)) <= {field.encode_name for field in msgspec.structs.fields(BODIES[name])}
        assert msgspec.json.decode(msgspec.json.encode(message), type=BODIES[name]) == message


def test_no_golden_file_has_lost_its_type() -> None:
    assert {path.stem.partition("+")[0] for path in GOLDEN.glob("*.json")} <= set(BODIES)


def test_a_reader_ignores_fields_it_does_not_know() -> None:
    for name, struct in BODIES.items():
        body = msgspec.json.decode((GOLDEN / f"{name}.json").read_bytes())
        msgspec.json.decode(msgspec.json.encode(body | {"field_of_a_later_version": [1, {"a": None}]}), type=struct)


@pytest.mark.parametrize("entry", list(REGISTRY), ids=lambda entry: entry.name)
def test_a_name_tells_kind_owner_and_version(entry: MessageType) -> None:
    words = entry.name.split(".")
    assert words[0] == entry.owner
    assert words[-1].startswith("v")
    assert words[-1][1:].isdigit()
    assert (words[1] == entry.kind.value) is (entry.kind is not Kind.EVENT)
    assert (entry.reply is not None) is (entry.kind is Kind.RPC)
    assert issubclass(entry.struct, Message)
