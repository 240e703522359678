"""The gateway's own routes as data (requirements 6): what each takes, which service's command answers it, what is shown.

The routes themselves are in `own/`, one file a subject. They cost nothing, need no subscription, and pass the same checks
in the same order as calls to a platform.
"""

import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final, Protocol
from uuid import UUID

import msgspec

from libs.common.contracts.auth import Actor, Principal
from libs.common.contracts.catalogue import catalogue
from libs.common.contracts.envelope import Message
from libs.common.contracts.models import Form
from services.edge.domain.catalogue import WITH_BODY, Route
from services.edge.domain.queries import WHOLE, QueryRule
from services.edge.domain.refusal import Refusal

DEADLINE_MS: Final = 5_000  # for the service that answers; a caller waits no longer
LIMIT: Final = WHOLE  # what is beyond the maximum is cut to it
ID: Final[QueryRule] = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_STATUSES: Final = frozenset({200, 201, 204})


class Asked(msgspec.Struct, frozen=True):
    """A request to an own route, read and checked: what its `command` or `answer` is made from."""

    caller: Principal
    by: Actor  # who asks and from where, for the audit log
    path: dict[str, str]
    query: dict[str, str]
    body: Any = None  # the route's `body` struct
    raw_body: bytes = b""  # what it was made from, of a route that passes it on
    origin: str = ""  # of this gateway, as the caller reaches it: `https://api.example.com`
    token: str = ""  # fresh for each request: for a link that the answer may hold
    version: str = ""  # of the API, in which it was asked
    sealed: bytes = b""  # what the route's `seal` names

    @property
    def org_id(self) -> UUID:
        return self.caller.org_id

    def id(self, name: str) -> UUID:
        """The id in the path. Raises Refusal (404): what is no UUID names nothing of ours."""
        try:
            return UUID(self.path[name])
        except ValueError:
            raise Refusal("NOT_FOUND") from None

    def number(self, name: str, *, default: int, most: int) -> int:
        """The whole number in the query, cut to `most`; the route's query rule has judged its form."""
        return min(int(self.query[name]), most) if name in self.query else default


class Text(Protocol):
    """A long answer as bytes, from its beginning to its end, once."""

    def head(self) -> bytes: ...
    def page(self, reply: Any) -> bytes: ...
    def tail(self) -> bytes: ...


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """An answer of any length: a file instead of `{data,_meta}` (docs/adr/0007)."""

    page: Callable[[Asked, Any], Message | None]  # the command after a reply, or the first; None after the last
    text: Callable[[Asked], Text]
    content_type: Callable[[Asked], str]
    file_name: Callable[[Asked], str]


class OwnRoute(Route, frozen=True, kw_only=True):
    """One own route. `command` makes the rpc that answers it, and `show` takes the answer's `data` out of the reply; or
    `answer` makes `data` right here; or it is an `export`, and `data` is the type of a line. Status 204 is for what has no
    `data`.
    """

    status: int = 200
    body: type[msgspec.Struct] | None = None  # of the request; members it does not name are ignored
    example: Any = None  # of the body, for its document
    data: Any = None  # the type of the answer's `data`; None: `null`
    command: Callable[[Asked], Message] | None = None
    show: Callable[[Any], Any] = lambda reply: reply
    show_link: Callable[[Asked, Any], Any] | None = None  # instead of `show`, where the answer holds a link
    show_asked: Callable[[Asked, Any], Any] | None = None  # instead of `show`, where the answer repeats what was asked
    seal: Callable[[Asked], tuple[Form, bytes]] | None = None  # a secret in the body, and what its seal is bound to
    answer: Callable[[Asked], Any] | None = None
    export: Export | None = None
    passes_body: bool = False  # the body goes to the service as it was sent, beside the command
    status_of: Callable[[Any], int] | None = None  # of `data`, where the answer's status is not always the same
    other_statuses: tuple[int, ...] = ()  # what it can be then
    in_flight_max: int = 0  # requests of one organization under way in this process; 0 = any number
    shows_balance: bool = True  # whether the surface says beside `data` what can be spent
    deadline_ms: int = DEADLINE_MS
    is_repeatable: bool = False  # a POST that may be asked twice; other methods may, as HTTP has it

    @property
    def is_secured(self) -> bool:
        return True

    @property
    def may_repeat(self) -> bool:
        return self.method != "POST" or self.is_repeatable


def told(**schema: Any) -> msgspec.Meta:
    """What the document says of a body's member beyond its type: bounds, examples. The service that takes it is the judge."""
    return msgspec.Meta(extra_json_schema=schema)


RoleName = Annotated[str, told(minLength=1, maxLength=64, examples=["read_only"])]


def query_of(**rules: QueryRule) -> dict[str, QueryRule]:
    """The query of a route: names and what their values must look like (None: anything)."""
    return rules


def checked_own(routes: Iterable[OwnRoute]) -> tuple[OwnRoute, ...]:
    """`routes`, if they may be served. Raises ValueError for a price, a permission or a name of a platform's call, for a
    route that answers in no way or two, a status we do not give, a body where none is read, or a link for everybody.
    """
    calls = catalogue()
    taken = {call.permission for call in calls.values()}
    for route in routes:
        if route.cost_credits or route.call or route.name in calls or route.permission in taken:
            raise ValueError(f"{route.name}: an own route is free, and shares no name and no permission with a call")
        if [route.command, route.answer, route.export].count(None) != 2:
            raise ValueError(f"{route.name}: either a command answers it, or the edge itself does, or it is an export")
        if route.status not in _STATUSES or (route.status == 204) is not (route.data is None):
            raise ValueError(f"{route.name}: 200 or 201 with data, 204 without")
        if route.show_link is not None and not route.shows_secret:
            raise ValueError(f"{route.name}: a link in the answer is a secret")
        if (route.status_of is None) is bool(route.other_statuses):
            raise ValueError(f"{route.name}: statuses that the answer decides are named, and only those")
        if route.passes_body and route.body is None:
            raise ValueError(f"{route.name}: a body that is passed on is looked at first")
        if route.body is not None and route.method not in WITH_BODY:
            raise ValueError(f"{route.name}: no body is read of a {route.method}")
    return tuple(routes)
