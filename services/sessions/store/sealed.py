"""The vault's rows: which column holds what, sealed and opened."""

import uuid
from typing import Final, TypeVar

import msgspec

from libs.common.db.pool import Database, Record
from libs.common.db.queries import load_queries
from libs.common.vault import Place, Vault
from services.sessions.domain.credentials import Credentials, Pending, Session

QUERIES: Final = load_queries(__package__)
REWRAP_ROWS: Final = 200  # per transaction
COLUMNS: Final = ("credentials", "session", "pending")
_FIRST: Final = uuid.UUID(int=0)

Kept = TypeVar("Kept", Credentials, Session, Pending)


class SealedRows:
    """Values of `sessions.vault`, in and out of their seals."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def seal(self, org_id: uuid.UUID, model_id: uuid.UUID, column: str, value: Kept | None) -> bytes | None:
        """`value` for `column`; None stays None."""
        if value is None:
            return None
        return self._vault.seal(_place(org_id, model_id, column), msgspec.json.encode(value))

    def open(self, row: Record, column: str, kind: type[Kept]) -> Kept | None:
        """The value in `column` of `row`. Raises SealBroken."""
        if (sealed := row[column]) is None:
            return None
        value = self._vault.open(_place(row["org_id"], row["model_id"], column), sealed)
        return msgspec.json.decode(value, type=kind)

    async def rewrap(self, db: Database) -> int:
        """Bring every data key under the active key; answers how many rows changed. Values are not decrypted."""
        last, count = _FIRST, 0
        while True:
            async with db.transaction() as tx:
                rows = await tx.fetch(QUERIES.sealed_rows, last, REWRAP_ROWS)
                for row in rows:
                    sealed = {column: self._rewrapped(row, column) for column in COLUMNS}
                    if any(sealed[column] is not row[column] for column in COLUMNS):
                        await tx.execute(QUERIES.rewrap_row, row["model_id"], *(sealed[column] for column in COLUMNS))
                        count += 1
            if len(rows) < REWRAP_ROWS:
                return count
            last = rows[-1]["model_id"]

    def _rewrapped(self, row: Record, column: str) -> bytes | None:
        sealed: bytes | None = row[column]
        if sealed is None:
            return None
        return self._vault.rewrapped(_place(row["org_id"], row["model_id"], column), sealed) or sealed


def _place(org_id: uuid.UUID, model_id: uuid.UUID, column: str) -> Place:
    return Place(table="vault", column=column, org_id=org_id, record_id=model_id)
