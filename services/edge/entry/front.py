"""The first fork of every request: pages for people here, the API there."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol

from aiohttp import web

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Prefixed(Protocol):
    """A handler of all that is below a prefix."""

    @property
    def prefix(self) -> str: ...
    def __call__(self, request: web.BaseRequest) -> Awaitable[web.StreamResponse]: ...


class Listed(Protocol):
    """A handler of these paths and no others."""

    @property
    def paths(self) -> Collection[str]: ...
    def __call__(self, request: web.BaseRequest) -> Awaitable[web.StreamResponse]: ...


class Front:
    """What is asked of this process: pages for people and the endpoints of OAuth, the pages of the documentation, or the API."""

    def __init__(self, edge: Handler, *, links: Sequence[Prefixed], docs: Listed, files: Sequence[Listed] = ()) -> None:
        """All that is nobody's is the edge's to refuse. Of two prefixes that fit, the first one counts."""
        self._edge = edge
        self._links = tuple(links)
        self._prefixes = tuple(pages.prefix for pages in links)
        self._listed: dict[str, Handler] = {path: pages for pages in (docs, *files) for path in pages.paths}

    def __call__(self, request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        path = request.rel_url.raw_path
        if path.startswith(self._prefixes):
            for pages in self._links:
                if path.startswith(pages.prefix):
                    return pages(request)
        return self._listed.get(path, self._edge)(request)
