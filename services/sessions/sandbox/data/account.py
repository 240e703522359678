"""An account of the sandbox: who it is, and what was changed in it since the process started."""

import zlib
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from services.sessions.sandbox.data.seeded import chance, person

FAN_COUNT: Final = 240
FIRST_ID: Final = 1001  # of every kind of generated thing, in every account: an example works with any
FIRST_FAN_ID: Final = FIRST_ID
KEPT_MAX: Final = 1_000  # per kind of written thing (and per chat): a load test must not fill the memory
CREATED_FROM: Final = 700_000_001  # ids of what was created by calls


class Account:
    """One creator's account. Generated data are made on demand from the id; only what calls changed is held here."""

    def __init__(self, id_: int, email: str) -> None:
        self.id = id_
        self.email = email
        self.name = person(chance(id_, "name"))
        self.version = 0  # rises with each write: caches of rendered answers compare it
        self.sent: dict[int, deque[dict[str, Any]]] = {}  # fan id -> messages, oldest first
        self.deleted: set[int] = set()  # message ids
        self.liked: set[int] = set()  # message ids
        self.chat_changes: dict[int, dict[str, Any]] = {}  # fan id -> what PATCH set
        self.opened_chats: list[int] = []  # fan ids
        self.created: dict[str, dict[int, dict[str, Any]]] = {}  # kind -> id -> thing
        self.removed: dict[str, set[int]] = {}  # kind -> ids
        self.members: dict[int, tuple[set[int], set[int]]] = {}  # list id -> (added, removed)
        self.creators: dict[int, Account] = {}  # of an agency
        self._next_id = CREATED_FROM

    def next_id(self) -> int:
        """A fresh id; they rise by one."""
        self._next_id += 1
        return self._next_id - 1

    def changed(self) -> None:
        """Note a write."""
        self.version += 1

    def create(self, kind: str, thing: dict[str, Any]) -> dict[str, Any]:
        """Keep a new thing of `kind` (its member `id` is the key); the oldest goes when there are too many."""
        things = self.created.setdefault(kind, {})
        things[thing["id"]] = thing
        if len(things) > KEPT_MAX:
            del things[next(iter(things))]
        self.changed()
        return thing

    def things(self, kind: str, generated: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What there is of `kind`: created ones first, newest first, then the generated, without the removed."""
        gone = self.removed.get(kind, set())
        created = reversed(self.created.get(kind, {}).values())
        return [thing for thing in (*created, *generated) if thing["id"] not in gone]

    def remove(self, kind: str, id_: int) -> None:
        """Remove a thing of `kind`."""
        if self.created.get(kind, {}).pop(id_, None) is None:
            self.removed.setdefault(kind, set()).add(id_)
        self.changed()

    def creator(self, id_: int) -> "Account":
        """The account of one of this agency's creators; made when first asked for."""
        if id_ not in self.creators:
            self.creators[id_] = Account(self.id * 100 + id_ % 100, f"creator-{id_}@sandbox.test")
        return self.creators[id_]

    def fan_ids(self) -> Iterator[int]:
        """The ids of all fans, best spender first."""
        return iter(range(FIRST_FAN_ID, FIRST_FAN_ID + FAN_COUNT))


def account_id_of(email: str) -> int:
    """The numeric id of whoever signs in with `email`."""
    return 10_000_000 + zlib.crc32(email.lower().encode()) % 90_000_000
