"""What differs between versions of our API, one module a change.

Everything else knows the newest shape only. A request of an older version climbs: each change after it makes the body newer.
An answer descends the other way, and so do the schemas of the version's document. Only what is our own changes: bytes of a
platform are never touched.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from services.edge.domain.changes import key_window_null, overlap_in_seconds
from services.edge.domain.changes.change import Document, Schemas, VersionChange
from services.edge.domain.refusal import Refusal

CHANGES: Final[tuple[VersionChange, ...]] = (key_window_null.CHANGE, overlap_in_seconds.CHANGE)  # oldest first


def climbed(route: str, version: str, body: bytes) -> bytes:
    """The body of a request of `version` in the newest shape. Raises Refusal (400) for what the change itself finds wrong."""
    mine = [change for change in CHANGES if route in change.routes and (change.up_request is not None or change.gone)]
    if not mine or not body:
        return body
    document = msgspec.json.decode(body)
    if not isinstance(document, dict):
        return body  # the newest shape refuses it in its own words
    older = document
    for change in mine:
        if change.version <= version:
            _refuse_what_is_gone(change, document)
        elif change.up_request is not None:
            document = change.up_request(document)
    return body if document is older else msgspec.json.encode(document)


def descended(route: str, version: str, data: bytes) -> bytes:
    """An answer in the newest shape as `version` has it."""
    changes = [change for change in _after(version) if route in change.routes and change.down_response is not None]
    if not changes or not data:
        return data
    document = msgspec.json.decode(data)
    for change in reversed(changes):
        assert change.down_response is not None
        document = change.down_response(document)
    return msgspec.json.encode(document)


def described(version: str, schemas: Schemas) -> Schemas:
    """The schemas of all bodies and answers, from the newest shape to that of `version`."""
    for change in reversed(list(_after(version))):
        schemas = change.down_schemas(schemas)
    return schemas


def _refuse_what_is_gone(change: VersionChange, document: Document) -> None:
    for name, now in change.gone.items():
        if name in document:
            raise Refusal("INVALID_REQUEST", f"{name}: is {now} since version {change.version}")


def _after(version: str) -> Iterator[VersionChange]:
    return (change for change in CHANGES if change.version > version)  # ISO dates sort as text
