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
from tests.support.rollout import later

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


@pytest.mark.parametrize("name", sorted(BODIES))
def test_a_reader_ignores_at_any_depth_what_a_later_release_says_more(name: str) -> None:
    for file in (GOLDEN / f"{name}.json", *sorted(GOLDEN.glob(f"{name}+*.json"))):
        message = msgspec.json.decode(file.read_bytes(), type=BODIES[name])
        said = later.encode(message)
        assert b"next release" in said or b"of_the_next_release" in said
        assert msgspec.json.decode(said, type=BODIES[name]) == message


@pytest.mark.parametrize("name", sorted(BODIES))
def test_what_came_later_is_optional(name: str) -> None:
    """A golden file is what some release wrote; what it lacks, that release did not know, and it must still be read."""
    first = msgspec.json.decode((GOLDEN / f"{name}.json").read_bytes())
    fields = {field.encode_name: field for field in msgspec.structs.fields(BODIES[name])}
    assert [field.name for key, field in fields.items() if key not in first and field.required] == []


@pytest.mark.parametrize("entry", list(REGISTRY), ids=lambda entry: entry.name)
def test_a_name_tells_kind_owner_and_version(entry: MessageType) -> None:
    words = entry.name.split(".")
    assert words[0] == entry.owner
    assert words[-1].startswith("v")
    assert words[-1][1:].isdigit()
    assert (words[1] == entry.kind.value) is (entry.kind is not Kind.EVENT)
    assert (entry.reply is not None) is (entry.kind is Kind.RPC)
    assert issubclass(entry.struct, Message)
