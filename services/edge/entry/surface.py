"""What a surface is: one public dialect (paths, key headers, envelope, error shape, body cap). One file each in `surfaces/`."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

from libs.common.contracts.versions import API_VERSIONS
from services.edge.domain.catalogue import Route
from services.edge.domain.ports import Reserved
from services.edge.domain.queries import one_of
from services.edge.domain.refusal import Refusal
from services.edge.domain.upstream import Upstream

Schema: TypeAlias = dict[str, Any]  # JSON schema, as OpenAPI 3.1 has it
DOCUMENT_ROUTE: Final = "openapi"  # the open route that answers with the surface's own document


def open_routes(prefix: str) -> tuple[Route, Route]:
    """What every surface serves to everybody."""
    return (
        Route(name="health", method="GET", path=f"{prefix}/health", permission=None),
        Route(
            name=DOCUMENT_ROUTE, method="GET", path=f"{prefix}/openapi.json", permission=None,
            query={"version": one_of(*API_VERSIONS)},
        ),
    )  # fmt: skip


class Surface(Protocol):
    """Pure: bytes and statuses only; headers that all surfaces share are `answers.py`'s."""

    @property
    def name(self) -> str: ...

    @property
    def prefix(self) -> str:
        """Paths at and below it are this surface's, unless a longer prefix matches."""
        ...

    @property
    def key_headers(self) -> Sequence[str]:
        """Headers that carry a bare key."""
        ...

    @property
    def takes_bearer(self) -> bool:
        """Whether `Authorization: Bearer <key>` works as well."""
        ...

    @property
    def version_headers(self) -> Sequence[str]:
        """Headers that name the version an answer is in; the first is the one that callers are told to send."""
        ...

    @property
    def wraps(self) -> bool:
        """Whether a success is `{data,_meta}`; else it is the bare answer, and one without a body stays so."""
        ...

    @property
    def title(self) -> str:
        """In a few words, for its document."""
        ...

    @property
    def about(self) -> str:
        """What its callers should know, in Markdown."""
        ...

    @property
    def schemas(self) -> Mapping[str, Schema]:
        """Named schemas that those below refer to."""
        ...

    @property
    def body_bytes_max(self) -> int: ...

    def routes(self) -> tuple[Route, ...]: ...

    def success(self, upstream: Upstream, reserved: Reserved) -> tuple[int, bytes]:
        """Status and body of an answer that is charged; the platform's bytes are in it untouched."""
        ...

    def own(self, body: bytes) -> bytes:
        """The body of an answer of the edge's own to a public route."""
        ...

    def said(self, refusal: Refusal) -> Refusal:
        """`refusal` as this dialect has it: the same, unless its words or its status are others here."""
        ...

    def failure(self, refusal: Refusal) -> bytes:
        """The body of an error."""
        ...

    def success_schema(self, data: Schema) -> Schema:
        """What `success` makes of an answer whose `data` is as said."""
        ...

    def failure_schema(self, codes: Sequence[str]) -> Schema:
        """What `failure` makes of refusals with these codes."""
        ...
