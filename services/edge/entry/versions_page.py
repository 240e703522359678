"""`/docs/versions`: which versions there are, until when each works, and what changed. Deprecated answers link here."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from services.edge.domain.changes import CHANGES
from services.edge.domain.versions import NOTICE, Version, Versions
from services.edge.entry.docs_page import page, spans
from services.edge.entry.surface import Surface

_ABOUT: Final = (
    "A version is a date, sent in `X-API-Version` (or `X-Fanvue-API-Version`, which means the same). Without one a call is answered in the "
    "version that its key was pinned to at issue; on `/fanvue` it is required. A version that is deprecated goes on working, and says in "
    "every answer since when (`Deprecation`), until when (`Sunset`) and what to move to (`X-API-Next-Version`). There are "
    f"{NOTICE.days} days at least in between. After its end it is answered with 410 and `nextVersion`. What a platform answers is "
    "never changed by a version."
)


def versions_page(versions: Versions, surfaces: Sequence[Surface]) -> bytes:
    """The page, newest version first."""
    parts = [f"<p>{spans(_ABOUT)}</p>", *(_version(each, surfaces) for each in reversed(versions.all))]
    return page("API versions", "\n".join(parts), surfaces)


def _version(version: Version, surfaces: Sequence[Surface]) -> str:
    facts = [
        f"deprecated from {_day(version.deprecated_at)}" if version.deprecated_at else "not deprecated",
        f"works until {_day(version.sunset_at)}" if version.sunset_at else "no end is planned",
    ]
    if version.next:
        facts.append(f'next: <a href="#v{version.next}">{version.next}</a>')
    documents = ", ".join(
        f'<a href="{surface.prefix}/openapi.json?version={version.date}">{surface.name}</a>' for surface in surfaces
    )
    changed = "".join(f"<li>{spans(change.text)}</li>" for change in CHANGES if change.version == version.date)
    listed = "".join(f"<li>{fact}</li>" for fact in (*facts, f"OpenAPI: {documents}"))
    return (
        f'<section id="v{version.date}">\n<h3>{version.date}</h3>\n<ul class="facts">{listed}</ul>\n'
        f"<ul>{changed or '<li>the first one</li>'}</ul>\n</section>"
    )


def _day(date: datetime) -> str:
    return date.strftime("%Y-%m-%d %H:%M UTC")
