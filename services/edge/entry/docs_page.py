"""The HTML of the reference: an overview of all routes, and a page for each surface, from its OpenAPI document."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any, Final

from services.edge.entry.openapi.words import ABOUT
from services.edge.entry.surface import Schema, Surface
from services.edge.entry.versions import PAGE as VERSIONS_PATH

_ROOT: Final = "/docs"
STYLE_PATH: Final = f"{_ROOT}/style.css"
STYLE: Final = b"""\
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; --line: color-mix(in srgb, CanvasText 18%, Canvas); }
body { margin: 0; background: Canvas; color: CanvasText; }
header, main { max-width: 72rem; margin: 0 auto; padding: 1rem 1.25rem; }
header { border-bottom: 1px solid var(--line); }
header a { margin-right: 1.25rem; }
a { color: LinkText; }
h1 { font-size: 1.6rem; } h2 { margin-top: 2.5rem; text-transform: capitalize; } h3 { margin: 0 0 .25rem; font-size: 1.05rem; }
code, pre { font: .9em/1.45 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { background: color-mix(in srgb, CanvasText 6%, Canvas); padding: .75rem; border-radius: .4rem; overflow-x: auto; }
section { border-top: 1px solid var(--line); padding: 1.25rem 0; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); }
.method { font-weight: 700; display: inline-block; min-width: 4.2rem; }
.facts { list-style: none; padding: 0; margin: .5rem 0; } .facts li { display: inline-block; margin-right: 1.5rem; }
summary { cursor: pointer; }
"""

_PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="{style}">
</head>
<body>
<header><a href="{root}">Fangate API</a>{links}<a href="{versions}">versions</a></header>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""
_FIRST_CALL: Final = 'curl -H "X-API-Key: $FANGATE_API_KEY" "$FANGATE_URL/api/models/$FANGATE_MODEL_ID/chats?size=2"'
_PRICES: Final = {0: "free", 1: "1 credit"}

Document = Mapping[str, Any]


def page_path(surface: Surface | None = None) -> str:
    """Where the page of a surface is, or the overview."""
    return _ROOT if surface is None else f"{_ROOT}/{surface.name}"


def overview(documents: Mapping[Surface, Document]) -> bytes:
    """All routes of all surfaces with their permission and price; one operation of several surfaces is one row."""
    rows: dict[str, list[tuple[Surface, str, str, Schema]]] = {}
    for surface, document in documents.items():
        for path, method, said in _operations(document):
            key = said["operationId"] if "x-permission" in said else f"{surface.name} {said['operationId']}"
            rows.setdefault(key, []).append((surface, path, method, said))
    table = "".join(_row(served) for served in rows.values())
    surfaces = "".join(
        f'<li><a href="{page_path(surface)}">{surface.name}</a>: {escape(surface.title)} '
        f'(<a href="{surface.prefix}/openapi.json">OpenAPI 3.1</a>)</li>'
        for surface in documents
    )
    body = (
        f"<ul>{surfaces}</ul>\n<h2>A first call</h2>\n<pre>{escape(_FIRST_CALL)}</pre>\n<h2>How it works</h2>\n{_prose(ABOUT)}\n"
        "<h2>All routes</h2>\n<table><thead><tr><th>Route</th><th>What it does</th><th>Permission</th><th>Price</th></tr></thead>\n"
        f"<tbody>{table}</tbody></table>"
    )
    return page("Fangate API", body, documents)


def reference(surface: Surface, document: Document, surfaces: Iterable[Surface] = ()) -> bytes:
    """Everything about one surface, and the way to all `surfaces`."""
    by_tag: dict[str, list[str]] = {tag["name"]: [] for tag in document["tags"]}
    for path, method, said in _operations(document):
        by_tag[said["tags"][0]].append(_section(surface, document, path, method, said))
    body = [_prose(document["info"]["description"])]
    for tag in document["tags"]:
        heading = escape(tag["name"].replace("-", " "))
        body.append(f"<h2>{heading}</h2>\n<p>{escape(tag['description'])}</p>\n" + "\n".join(by_tag[tag["name"]]))
    body.append(_errors(document))
    return page(f"Surface {surface.name}", "\n".join(body), surfaces)


def _operations(document: Document) -> Iterator[tuple[str, str, Schema]]:
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            yield path, method.upper(), said


def _row(served: list[tuple[Surface, str, str, Schema]]) -> str:
    said = served[0][3]
    routes = "<br>".join(
        f'<a href="{page_path(surface)}#{one["operationId"]}"><span class="method">{method}</span> <code>{escape(path)}</code></a>'
        for surface, path, method, one in served
    )
    return f"<tr><td>{routes}</td><td>{escape(said['summary'])}</td><td>{_permission(said)}</td><td>{_price(said)}</td></tr>\n"


def _permission(said: Schema) -> str:
    return f"<code>{escape(said['x-permission'])}</code>" if "x-permission" in said else "none"


def _price(said: Schema) -> str:
    return _PRICES.get(said["x-credits"], f"{said['x-credits']} credits")


def _section(surface: Surface, document: Document, path: str, method: str, said: Schema) -> str:
    facts = [f"Permission: {_permission(said)}", f"Price: {_price(said)}"]
    if "x-retry" in said:
        facts.append(f"Retry class: {escape(said['x-retry'])}")
    if "x-scopes" in said:
        facts.append("Scopes: " + ", ".join(f"<code>{escape(scope)}</code>" for scope in said["x-scopes"]))
    listed = "".join(f"<li>{fact}</li>" for fact in facts)
    return "\n".join(
        (
            f'<section id="{said["operationId"]}">',
            f'<h3><span class="method">{method}</span> <code>{escape(path)}</code></h3>',
            f'<p><strong>{escape(said["summary"])}</strong></p>\n<ul class="facts">{listed}</ul>',
            _prose("\n\n".join(said["description"].split("\n\n")[1:])),
            _parameters(document, said),
            _body(document, said),
            f"<details><summary>Example</summary><pre>{escape(_curl(surface, document, path, method, said))}</pre></details>",
            _answers(document, said),
            "</section>",
        )
    )


def _parameters(document: Document, said: Schema) -> str:
    found = [_resolved(document, each) for each in said["parameters"]]
    if not found:
        return ""
    rows = "".join(
        f"<tr><td><code>{escape(each['name'])}</code></td><td>{each['in']}{', required' if each.get('required') else ''}</td>"
        f"<td>{escape(each.get('description', ''))}</td><td>{_values(each['schema'])}</td></tr>"
        for each in found
    )
    head = "<tr><th>Parameter</th><th>In</th><th>Meaning</th><th>Values</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def _values(schema: Schema) -> str:
    match schema:
        case {"enum": values}:
            return ", ".join(f"<code>{escape(str(value))}</code>" for value in values)
        case {"items": items}:
            return f"any of {_values(items)}"
        case {"anyOf": several}:
            return " or ".join(_values(each) for each in several)
        case {"minimum": least, "maximum": most}:
            return f"{least} to {most}"
        case {"format": name}:
            return escape(name)
        case {"pattern": pattern}:
            return f"<code>{escape(pattern)}</code>"
        case _:
            return escape(schema.get("type", "anything"))


def _body(document: Document, said: Schema) -> str:
    if "requestBody" not in said:
        return ""
    content = said["requestBody"]["content"]["application/json"]
    shown = json.dumps(_inlined(document, content["schema"]), indent=2)
    return f"<details><summary>Body</summary><pre>{escape(shown)}</pre></details>" if content["schema"] else ""


def _answers(document: Document, said: Schema) -> str:
    rows, schemas = [], []
    for status, response in said["responses"].items():
        whole = _resolved(document, response)
        codes = _codes(whole)
        meaning = ", ".join(f"<code>{code}</code>" for code in codes) if codes else spans(whole["description"])
        rows.append(f"<tr><td>{status}</td><td>{meaning}</td></tr>")
        data = whole.get("content", {}).get("application/json", {}).get("schema", {}).get("properties", {}).get("data")
        if data and not codes:
            schemas.append(f"<pre>data: {escape(json.dumps(_inlined(document, data), indent=2))}</pre>")
    table = f"<table><thead><tr><th>Status</th><th>Codes</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f"<details><summary>Answers</summary>{table}{''.join(schemas)}</details>"


def _codes(response: Schema) -> list[str]:
    """The codes of an error; none of anything else."""
    return list(response.get("headers", {}).get("X-Error-Code", {}).get("schema", {}).get("enum", []))


def _errors(document: Document) -> str:
    """Every code once, with what it says."""
    texts: dict[str, str] = {}
    for response in document["components"]["responses"].values():
        lines = response["description"].split("\n")
        texts |= dict(zip(_codes(response), (line.partition(": ")[2] for line in lines), strict=False))
    rows = "".join(f"<tr><td><code>{code}</code></td><td>{spans(texts[code])}</td></tr>" for code in sorted(texts))
    return f"<h2>Codes</h2>\n<table><thead><tr><th>Code</th><th>Says</th></tr></thead><tbody>{rows}</tbody></table>"


def _curl(surface: Surface, document: Document, path: str, method: str, said: Schema) -> str:
    url = path.replace("{model_id}", "$FANGATE_MODEL_ID").replace("{account}", "$FANGATE_MODEL_ACCOUNT")
    parts = ["curl"]
    if method != "GET":
        parts.append(f"-X {method}")
    if "x-permission" in said:
        parts.append(f'-H "{surface.key_headers[0]}: $FANGATE_API_KEY"')
        if any(
            _resolved(document, each).get("name") == surface.version_headers[0]
            and _resolved(document, each)["required"]
            for each in said["parameters"]
        ):
            parts.append(f'-H "{surface.version_headers[0]}: {document["info"]["version"]}"')
    content = said.get("requestBody", {}).get("content", {}).get("application/json", {})
    if content:
        parts.append(f"-H \"Content-Type: application/json\" -d '{json.dumps(content.get('example', {}))}'")
    return " ".join((*parts, f'"$FANGATE_URL{url}"'))


def _resolved(document: Document, node: Schema) -> Schema:
    """What `node` refers to, or itself."""
    reference = node.get("$ref")
    if reference is None:
        return node
    found: Any = document
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return dict(found)


def _inlined(document: Document, node: Any) -> Any:
    """`node` with all it refers to in its place. Our schemas refer to no ancestor."""
    if isinstance(node, dict):
        return {name: _inlined(document, value) for name, value in _resolved(document, node).items()}
    return [_inlined(document, each) for each in node] if isinstance(node, list) else node


def _prose(text: str) -> str:
    """The little Markdown that documents use: paragraphs, lists, `code`, **strong**."""
    blocks = []
    for block in filter(None, text.split("\n\n")):
        if block.startswith("- "):
            items = "".join(f"<li>{spans(line[2:])}</li>" for line in block.split("\n"))
            blocks.append(f"<ul>{items}</ul>")
        else:
            blocks.append(f"<p>{spans(block)}</p>")
    return "\n".join(blocks)


def spans(text: str) -> str:
    """One paragraph of the little Markdown as HTML."""
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))
    return re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", marked)


def page(title: str, body: str, surfaces: Iterable[Surface]) -> bytes:
    """A whole page of the reference; `body` is HTML."""
    links = "".join(f'<a href="{page_path(surface)}">{surface.name}</a>' for surface in surfaces)
    return _PAGE.format(
        title=escape(title), body=body, links=links, root=_ROOT, style=STYLE_PATH, versions=VERSIONS_PATH
    ).encode()
