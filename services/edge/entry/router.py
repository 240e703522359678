"""Paths to routes: a tree over path segments with typed parameters, so that literals and ids never collide.

aiohttp's own dispatcher would try up to 60 regular expressions one after the other below `/api/models/`.
"""

from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

from libs.common.contracts.catalogue import parameter_pattern
from services.edge.domain.catalogue import Route
from services.edge.domain.refusal import Refusal

SEGMENTS_MAX: Final = 16  # no route is deeper
ANY_SEGMENT: Final = frozenset(
    {"model_id", "account", "creator_id", "batch_id", "host"}
)  # judged after authentication (404); a literal beside them wins


class _Node:
    __slots__ = ("literals", "methods", "parameters")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.parameters: list[tuple[str, _Node]] = []  # parameter name -> below
        self.methods: dict[str, Route] = {}


class Router:
    """All routes of all surfaces. Immutable after construction."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """Raises ValueError for two routes that one request could mean."""
        self._root = _Node()
        for route in routes:
            self._add(route)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """The route and its path parameters. Raises Refusal: 404 for an unknown path, 405 with the allowed methods."""
        segments = path.split("/")
        if "%" in path:  # split first: an encoded slash is not a separator
            segments = [unquote(segment) for segment in segments]
        nodes: list[tuple[_Node, dict[str, str]]] = []
        if len(segments) <= SEGMENTS_MAX and not segments[0]:
            _walk(self._root, segments, 1, {}, nodes)
        if not nodes:
            raise Refusal("NOT_FOUND")
        node, parameters = nodes[
            0
        ]  # a literal before a parameter: `creators/stats` is nobody's id, whatever the method
        route = node.methods.get(method)
        if route is None:
            raise Refusal("METHOD_NOT_ALLOWED", allow=", ".join(sorted(node.methods)))
        return route, parameters

    def _add(self, route: Route) -> None:
        node = self._root
        for segment in route.path.split("/")[1:]:
            if segment.startswith("{"):
                name = segment[1:-1]
                below = next((child for known, child in node.parameters if known == name), None)
                if below is None:
                    if any(_overlap(known, name) for known, _ in node.parameters):
                        raise ValueError(
                            f"{route.name}: {segment} of {route.path} cannot be told from another parameter"
                        )
                    below = _Node()
                    node.parameters.append((name, below))
                if name not in ANY_SEGMENT and any(_matches(name, literal) for literal in node.literals):
                    raise ValueError(f"{route.name}: {segment} of {route.path} matches a literal beside it")
            else:
                if any(name not in ANY_SEGMENT and _matches(name, segment) for name, _ in node.parameters):
                    raise ValueError(f"{route.name}: {segment} of {route.path} matches a parameter beside it")
                below = node.literals.setdefault(segment, _Node())
            node = below
        if route.method in node.methods:
            raise ValueError(f"{route.name}: {route.method} {route.path} is taken by {node.methods[route.method].name}")
        node.methods[route.method] = route


def _walk(
    node: _Node, segments: list[str], at: int, parameters: dict[str, str], found: list[tuple[_Node, dict[str, str]]]
) -> None:
    if at == len(segments):
        if node.methods:
            found.append((node, parameters))
        return
    segment = segments[at]
    below = node.literals.get(segment)
    if below is not None:
        _walk(below, segments, at + 1, parameters, found)
    for name, child in node.parameters:
        if _matches(name, segment):
            _walk(child, segments, at + 1, {**parameters, name: segment}, found)


def _matches(parameter: str, segment: str) -> bool:
    """Parameters are typed, but for `ANY_SEGMENT`. A dot segment is none: it would climb out of the upstream's path."""
    if segment in {"", ".", ".."}:
        return False
    return parameter in ANY_SEGMENT or parameter_pattern(parameter).fullmatch(segment) is not None


def _overlap(one: str, other: str) -> bool:
    """Whether two different parameters beside each other could mean one segment; ids overlap, whatever their names."""
    return any(_matches(one, sample) and _matches(other, sample) for sample in _SAMPLES)


_SAMPLES: Final = ("1", "01", "12345678901234567890", "0191f3a4-7a3b-7c1d-8e2f-0a1b2c3d4e5f", "a.b~c-d_e", "x")
