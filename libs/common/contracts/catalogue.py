"""The route catalogue: the 60 calls to a platform, as data shared by all services.

The edge routes, prices and checks by it, `sessions` finds the upstream path in it, `auth` knows the permissions by it.
The rows are in `catalogue.tsv` beside this file.
"""

import csv
import enum
import re
from functools import cache
from importlib import resources
from typing import Final

import msgspec


class RetryClass(enum.StrEnum):
    """Whether a call may reach the platform twice."""

    READ = "R"  # repeated after a refresh or a transport error while the deadline allows
    IDEMPOTENT = "I"  # a write that may be repeated the same way
    NEVER = "N"  # fenced: never sent again once bytes may have left


class CatalogueRoute(msgspec.Struct, frozen=True, kw_only=True):
    """One call. Paths are templates with `{name}` parameters; None = not served there."""

    name: str
    method: str
    path: str  # below a model
    permission: str
    scopes: frozenset[str]
    credits: int
    retry: RetryClass
    fanvue_upstream: str | None
    session_upstream: str | None
    metric_alias: str | None
    fanvue_alias: str | None

    @property
    def path_params(self) -> tuple[str, ...]:
        """The names of the parameters of `path`, in order."""
        return tuple(_PARAMETER.findall(self.path))

    def upstream(self, provider: str) -> str | None:
        """The path template on `provider`; the sandbox serves what either real provider serves."""
        match provider:
            case "fanvue":
                return self.fanvue_upstream
            case "session":
                return self.session_upstream
            case "sandbox":
                return self.session_upstream or self.fanvue_upstream
            case _:
                raise ValueError(f"no such provider: {provider}")


_PARAMETER: Final = re.compile(r"\{([a-z_]+)\}")
PROVIDERS: Final = ("fanvue", "session", "sandbox")

_PARAMETER_PATTERNS: Final = {
    "upload_id": re.compile(r"[A-Za-z0-9._~-]{1,512}"),
    "part": re.compile(r"[1-9][0-9]{0,4}"),
}
_ID_PATTERN: Final = re.compile(
    r"[0-9]{1,20}|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
)


def parameter_pattern(name: str) -> re.Pattern[str]:
    """What a path parameter may look like: typed, so that literals (`unread`, `smart`) never collide with ids."""
    return _PARAMETER_PATTERNS.get(name, _ID_PATTERN)


@cache
def catalogue() -> dict[str, CatalogueRoute]:
    """All routes by name, in the file's order."""
    text = resources.files(__package__).joinpath("catalogue.tsv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    return {row["name"]: _route(row) for row in rows}


def _route(row: dict[str, str]) -> CatalogueRoute:
    def path(column: str) -> str | None:
        return None if row[column] == "-" else row[column]

    return CatalogueRoute(
        name=row["name"],
        method=row["method"],
        path=row["path"],
        permission=row["permission"],
        scopes=frozenset(row["scopes"].split()),
        credits=int(row["credits"]),
        retry=RetryClass(row["retry"]),
        fanvue_upstream=path("fanvue_upstream"),
        session_upstream=path("session_upstream"),
        metric_alias=path("metric_alias"),
        fanvue_alias=path("fanvue_alias"),
    )
