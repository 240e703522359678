"""What RDAP answers say about who is responsible (RFC 9083, jCard RFC 7095). Nothing in them is trusted to have its shape."""

import re
from collections.abc import Iterator
from typing import Any, Final

from services.takedowns.domain.host import Responsible

DEPTH_MAX: Final = 6
ENTITIES_MAX: Final = 200
NAME_LENGTH_MAX: Final = 200
_EMAIL: Final = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?\.[A-Za-z][A-Za-z0-9-]+"
)


def registrar_of(answer: dict[str, Any]) -> Responsible:
    """The registrar of a domain. Its abuse mailbox is the shallowest one under it; some name none."""
    registrar = next((entity for _, entity in entities(answer) if has_role(entity, "registrar")), None)
    if registrar is None:
        return Responsible(abuse_email=_abuse(answer))
    return Responsible(
        name=_name(registrar), iana_id=_iana_id(registrar), abuse_email=_abuse(registrar) or _abuse(answer)
    )


def holder_of(answer: dict[str, Any]) -> Responsible:
    """The holder of an address block, and the mailbox for abuse from it."""
    roles = ("registrant", "administrative", "technical")
    holders = (entity for role in roles for _, entity in entities(answer) if has_role(entity, role))
    name = next((name for name in map(_name, holders) if name), None) or _text(answer.get("name"))
    return Responsible(name=name, abuse_email=_abuse(answer))


def related_link(answer: dict[str, Any]) -> str | None:
    """Where the registrar's own answer is (thin registries)."""
    for link in _list(answer.get("links")):
        if isinstance(link, dict) and link.get("rel") == "related" and isinstance(link.get("href"), str):
            href: str = link["href"]
            if "rdap" in str(link.get("type", "application/rdap+json")):
                return href
    return None


def entities(answer: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """All entities below `answer` with their depth, the shallow ones first."""
    level, count = [answer], 0
    for depth in range(1, DEPTH_MAX + 1):
        level = [inner for outer in level for inner in _list(outer.get("entities")) if isinstance(inner, dict)]
        for entity in level:
            count += 1
            if count > ENTITIES_MAX:
                return
            yield depth, entity


def has_role(entity: dict[str, Any], role: str) -> bool:
    """Whether the entity has the role, in any case."""
    return any(isinstance(word, str) and word.lower() == role for word in _list(entity.get("roles")))


def valid_email(text: str) -> str | None:
    """`text` as an address that may stand in a header, or None."""
    text = text.strip().removeprefix("mailto:")
    return text.lower() if _EMAIL.fullmatch(text) and ".." not in text else None


def _abuse(answer: dict[str, Any]) -> str | None:
    if has_role(answer, "abuse") and (email := _email(answer)):
        return email
    return next(
        (email for _, entity in entities(answer) if has_role(entity, "abuse") and (email := _email(entity))), None
    )


def _card(entity: dict[str, Any]) -> Iterator[list[Any]]:
    match entity.get("vcardArray"):
        case [_, [*properties]]:
            yield from (entry for entry in properties if isinstance(entry, list) and len(entry) >= 4)


def _email(entity: dict[str, Any]) -> str | None:
    """The preferred address of a jCard."""
    found = [
        (_preference(entry[1]), email)
        for entry in _card(entity)
        if entry[0] == "email"
        for value in entry[3:]
        if isinstance(value, str) and (email := valid_email(value))
    ]
    return min(found, default=(0, None), key=lambda pair: pair[0])[1]


def _preference(parameters: object) -> int:
    """`pref` of a property: 1 is the best, 100 the least; those without one are in between."""
    pref = str(parameters.get("pref", "")) if isinstance(parameters, dict) else ""
    return int(pref) if pref.isdecimal() and len(pref) < 4 else 50


def _name(entity: dict[str, Any]) -> str | None:
    names = {entry[0]: _text(entry[3]) for entry in reversed(list(_card(entity))) if entry[0] in {"fn", "org"}}
    return names.get("fn") or names.get("org")


def _iana_id(entity: dict[str, Any]) -> int | None:
    for public in _list(entity.get("publicIds")):
        if isinstance(public, dict) and public.get("type") == "IANA Registrar ID":
            number = str(public.get("identifier", ""))
            return int(number) if number.isdecimal() and len(number) < 9 else None
    return None


def _text(value: object) -> str | None:
    """One clean line, or None: it may end up in a notice."""
    if not isinstance(value, str):
        return None
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())[:NAME_LENGTH_MAX] or None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
