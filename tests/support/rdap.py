"""RDAP answers of the shapes that registries publish (RFC 9083)."""

from typing import Any


def card(name: str, *emails: str) -> list[Any]:
    """A jCard."""
    properties = [["version", {}, "text", "4.0"], ["fn", {}, "text", name]]
    return ["vcard", [*properties, *(["email", {}, "text", email] for email in emails)]]


def entity(role: str, vcard: list[Any], *inner: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A person or company in an answer, with those below it."""
    return {"objectClassName": "entity", "roles": [role], "vcardArray": vcard, "entities": list(inner), **more}


def domain_answer(*entities: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What a registry says of a domain."""
    return {
        "objectClassName": "domain", "ldhName": "EXAMPLE.COM", "rdapConformance": ["rdap_level_0"],
        "status": ["client transfer prohibited"], "entities": list(entities), **more,
    }  # fmt: skip


def network_answer(*entities: dict[str, Any]) -> dict[str, Any]:
    """What a registry says of an address."""
    return {
        "objectClassName": "ip network", "handle": "NET-1", "startAddress": "203.0.113.0",
        "endAddress": "203.0.113.255", "name": "EXAMPLE-NET", "entities": list(entities),
    }  # fmt: skip
