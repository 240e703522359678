"""Checking an export of the ledger with nothing but its own lines and docs/ledger-export.md."""

import hashlib
import json
import uuid
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def seal_faults(lines: list[dict[str, Any]]) -> list[str]:
    """What does not fit: seals that do not recompute or do not follow one another, and a count that is not reached."""
    head, *body, end = lines
    assert (head["kind"], end["kind"]) == ("export", "end")
    faults = []
    seals = [line for line in body if line["kind"] == "seal"]
    transfers = [line for line in body if line["kind"] == "transfer"]
    for seal in seals:
        own = [line for line in transfers if line["seal"] == seal["seal"]]
        digest = hashlib.sha256(b"".join(_bytes(head["org_id"], line) for line in own)).digest()
        chain = hashlib.sha256(bytes.fromhex(seal["previous"]) + digest + seal["rows"].to_bytes(8)).digest()
        if (len(own), sum(line["amount"] for line in own)) != (seal["rows"], seal["total"]):
            faults.append(f"seal {seal['seal']}: rows or total")
        if (digest.hex(), chain.hex()) != (seal["digest"], seal["chain"]):
            faults.append(f"seal {seal['seal']}: digest or chain")
    faults += [f"seal {later['seal']}: order" for one, later in pairwise(seals) if later["previous"] != one["chain"]]
    if (len(seals), len(transfers)) != (end["seals"], end["transfers"]):
        faults.append("end: count")
    return faults


def _bytes(org_id: str, line: dict[str, Any]) -> bytes:
    posted_us = (datetime.fromisoformat(line["posted_at"]) - _EPOCH) // timedelta(microseconds=1)
    return b"".join(
        (
            uuid.UUID(line["id"]).bytes, line["leg"].to_bytes(2), line["code"].to_bytes(2),
            line["amount"].to_bytes(8), uuid.UUID(org_id).bytes, line["debit_account"].to_bytes(8),
            line["credit_account"].to_bytes(8), *(_id(line[name]) for name in _IDS), _text(line["route"]),
            _text(line["memo"]), posted_us.to_bytes(8),
        )
    )  # fmt: skip


_IDS = ("refunds_id", "lease_id", "key_id", "model_id")


def _id(value: str | None) -> bytes:
    return bytes(16) if value is None else uuid.UUID(value).bytes


def _text(value: str | None) -> bytes:
    raw = (value or "").encode()
    return len(raw).to_bytes(4) + raw


def lines_of(body: bytes) -> list[dict[str, Any]]:
    """The lines of an NDJSON export."""
    return [json.loads(line) for line in body.splitlines()]
