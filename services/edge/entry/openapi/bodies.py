"""What platforms expect in the bodies of calls. They judge; this is for people, and for tools that generate requests."""

from typing import Any, Final

from services.edge.entry.surface import Schema

_ID: Final[Schema] = {"type": ["string", "integer"], "pattern": "^[0-9]{1,20}$", "minimum": 0, "maximum": 10**18 - 1}
_IDS: Final[Schema] = {"type": "array", "items": _ID}
_MEDIA: Final[Schema] = {"type": "array", "items": {"type": "string"}}


def _text(length_max: int) -> Schema:
    return {"type": "string", "minLength": 1, "maxLength": length_max, "pattern": "\\S"}


def _object(required: str = "", /, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, **({"required": required.split()} if required else {})}


_MESSAGE: Final = _object("text", text=_text(5_000), price={"type": "number", "minimum": 0}, mediaUuids=_MEDIA)
_CHAT: Final = _object(userId=_ID)

# The call's name -> schema and example.
BODIES: Final[dict[str, tuple[Schema, dict[str, Any]]]] = {
    "chats_create": (_CHAT, {"userId": "1200"}),
    "chats_update": (
        _object(isRead={"type": "boolean"}, isMuted={"type": "boolean"}, nickname={"type": "string"}),
        {"isRead": True},
    ),
    "chats_read_statuses": (_object(userIds={**_IDS, "maxItems": 100}), {"userIds": ["1001", "1002"]}),
    "messages_send": (_MESSAGE, {"text": "Hello"}),
    "mass_messages_send": (
        _object("text", text=_text(10_000), includedLists=_IDS),
        {"text": "Hello all", "includedLists": ["1001"]},
    ),
    "user_lists_create": (_object("name", name=_text(64), userIds=_IDS), {"name": "VIP", "userIds": ["1001"]}),
    "user_lists_add_members": (_object(userIds=_IDS), {"userIds": ["1001", "1002"]}),
    "tracking_links_create": (_object("name", name=_text(100)), {"name": "Spring"}),
    "posts_create": (
        _object(
            "text",
            text=_text(10_000),
            audience={"enum": ["subscribers", "followers-and-subscribers"]},
            mediaUuids=_MEDIA,
        ),
        {"text": "A new set is up", "audience": "subscribers"},
    ),
    "media_upload_signed_create": (
        _object("name", name=_text(255), mediaType={"enum": ["image", "video", "audio", "document"]}),
        {"name": "first.jpg", "mediaType": "image"},
    ),
    "media_upload_signed_finish": (
        _object(parts={"type": "array", "items": {"type": "object"}}),
        {"parts": [{"partNumber": 1, "etag": '"9b2c"'}]},
    ),
    "agency_chats_create": (_CHAT, {"userId": "1200"}),
    "agency_messages_send": (_MESSAGE, {"text": "Hello"}),
}
