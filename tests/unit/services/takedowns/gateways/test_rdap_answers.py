"""Reading RDAP answers: the shapes that registries publish, and those they should not."""

from typing import Any

import pytest

from services.takedowns.domain.host import Responsible
from services.takedowns.gateways.rdap_answers import holder_of, registrar_of, related_link, valid_email
from tests.support.rdap import card, domain_answer, entity, network_answer


def test_the_registrar_of_a_domain_and_its_abuse_mailbox_nested_below_it() -> None:
    answer = domain_answer(
        entity("registrant", card("Private Person", "owner@e.com")),
        entity(
            "registrar",
            card("Example Registrar, LLC", "sales@registrar.example"),
            entity("technical", card("Noc", "noc@registrar.example")),
            entity("abuse", card("", "Abuse@Registrar.Example")),
            publicIds=[{"type": "IANA Registrar ID", "identifier": "1234"}],
        ),
    )
    assert registrar_of(answer) == Responsible(
        name="Example Registrar, LLC", iana_id=1234, abuse_email="abuse@registrar.example"
    )


def test_the_shallowest_abuse_mailbox_under_the_registrar_counts() -> None:
    deep = entity("technical", card("t"), entity("abuse", card("", "deep@r.example")))
    answer = domain_answer(
        entity("abuse", card("", "registry@nic.example")),
        entity("registrar", card("R"), deep, entity("abuse", card("", "shallow@r.example"))),
    )
    assert registrar_of(answer).abuse_email == "shallow@r.example"


def test_a_registrar_without_abuse_mailbox_has_none() -> None:
    answer = domain_answer(entity("registrar", card("R", "info@r.example")))
    assert registrar_of(answer) == Responsible(name="R")


def test_the_holder_of_a_network_is_the_registrant_and_abuse_may_be_below_it() -> None:
    answer = network_answer(
        entity("registrant", card("Example Hosting B.V."), entity("abuse", card("Abuse", "abuse@hosting.example"))),
        entity("technical", card("Noc", "noc@hosting.example")),
    )
    assert holder_of(answer) == Responsible(name="Example Hosting B.V.", abuse_email="abuse@hosting.example")
    assert holder_of(network_answer()) == Responsible(name="EXAMPLE-NET")


def test_the_preferred_address_of_a_card() -> None:
    both = ["vcard", [["email", {"pref": "2"}, "text", "b@e.com"], ["email", {"pref": "1"}, "text", "a@e.com"]]]
    assert registrar_of(domain_answer(entity("registrar", both), entity("abuse", both))).abuse_email == "a@e.com"


@pytest.mark.parametrize(
    "odd",
    [
        {}, {"entities": {}}, {"entities": "x"}, {"entities": [None, 1, "x", []]}, {"entities": [{"roles": "abuse"}]},
        {"entities": [{"roles": [None, 1]}]}, {"entities": [{"roles": ["abuse"], "vcardArray": "vcard"}]},
        {"entities": [{"roles": ["abuse"], "vcardArray": ["vcard", [["email", None, "text", None], "x", []]]}]},
        {"entities": [{"roles": ["registrar"], "publicIds": {"type": "IANA Registrar ID"}}]},
        {"entities": [{"roles": ["registrar"], "publicIds": [{"type": "IANA Registrar ID", "identifier": "9" * 40}]}]},
        {"name": 7, "links": {"rel": "related"}},
    ],
)  # fmt: skip
def test_another_shape_is_no_answer_and_no_error(odd: dict[str, Any]) -> None:
    assert registrar_of(odd).abuse_email is None
    assert holder_of(odd).abuse_email is None
    assert related_link(odd) is None


def test_a_circle_or_a_heap_of_entities_ends() -> None:
    circle: dict[str, Any] = {"roles": ["technical"]}
    circle["entities"] = [circle] * 50
    assert registrar_of({"entities": [circle]}) == Responsible()


def test_what_names_somebody_cannot_break_a_line() -> None:
    answer = domain_answer(entity("registrar", card("Evil\r\nBcc: victim@e.com\x00", "x@e.com")))
    assert registrar_of(answer).name == "Evil Bcc: victim@e.com"


@pytest.mark.parametrize("text", ["abuse@e.com", "mailto:ABUSE@e.com", "a+b@sub.e.co.uk", "x@xn--e1afmkfd.xn--p1ai"])
def test_addresses(text: str) -> None:
    assert valid_email(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abuse",
        "a@b",
        "a@e.com\r\nBcc: x@y.z",
        "a b@e.com",
        "a@e..com",
        "<a@e.com>",
        "a@e.com,b@e.com",
        "a" * 65 + "@e.com",
    ],
)
def test_what_is_no_address(text: str) -> None:
    assert valid_email(text) is None


def test_the_related_link_is_an_rdap_link() -> None:
    web, rdap = (
        {"rel": "related", "href": f"https://r.example/{kind}", "type": kind}
        for kind in ("text/html", "application/rdap+json")
    )
    assert related_link({"links": [{"rel": "self", "href": "https://x/"}, web, rdap]}) == rdap["href"]
