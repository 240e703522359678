"""The pages of the reference, as text: what is not ours is escaped, what is referred to is there."""

import json
import re

import pytest

from services.edge.entry.docs_page import overview, page_path, reference
from services.edge.entry.openapi.document import document
from services.edge.entry.surface import Surface
from services.edge.entry.surfaces import SURFACES

DOCUMENTS = {surface: document(surface) for surface in SURFACES}
each_surface = pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)


@each_surface
def test_values_of_a_document_are_escaped(surface: Surface) -> None:
    whole = json.loads(
        json.dumps(DOCUMENTS[surface]).replace("Is the gateway there", "<script>alert(1)</script> & <b>")
    )
    for page in (reference(surface, whole), overview({surface: whole})):
        assert b"<script" not in page
        assert b"&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;b&gt;" in page


def test_every_link_of_the_overview_leads_to_a_place_on_a_page() -> None:
    pages = {page_path(surface): reference(surface, whole).decode() for surface, whole in DOCUMENTS.items()}
    links = re.findall(r'href="(/docs/[a-z]+)#([a-z0-9_]+)"', overview(DOCUMENTS).decode())
    assert len(links) == sum(len(surface.routes()) for surface in SURFACES)
    for path, place in links:
        assert f'<section id="{place}">' in pages[path]


def test_one_operation_of_two_surfaces_is_one_row() -> None:
    rows = re.findall(r"<tr><td><a.*?</tr>", overview(DOCUMENTS).decode(), flags=re.DOTALL)
    (row,) = (row for row in rows if "/api/models/{model_id}/chats</code>" in row and ">GET<" in row)
    assert "/v1/{account}/chats</code>" in row
    assert "<code>api_chats_list</code>" in row
    assert "1 credit" in row


@pytest.mark.parametrize(
    "surface", [one for one in SURFACES if any(route.call for route in one.routes())], ids=lambda one: one.name
)
def test_a_route_shows_its_parameters_body_and_answers(surface: Surface) -> None:
    page = reference(surface, DOCUMENTS[surface]).decode()
    section = page[page.index('<section id="messages_send">') :].partition("</section>")[0]
    for shown in (
        "2 credits", "Idempotency-Key", "fan_id", "&quot;maxLength&quot;: 5000", "INSUFFICIENT_CREDITS", "curl -X POST",
        "OUTCOME_UNKNOWN", "write:chat", "<td>424</td>",
    ):  # fmt: skip
        assert shown in section
    assert "$ref" not in page
