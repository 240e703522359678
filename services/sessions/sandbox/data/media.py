"""The vault of pictures and videos, its folders, and uploads in parts."""

from typing import Any, Final

from services.sessions.sandbox.calls import Answer, Call, PlatformError, not_found, page_of
from services.sessions.sandbox.data.account import FIRST_ID, Account
from services.sessions.sandbox.data.seeded import avatar, chance, moment

MEDIA_COUNT: Final = 118
OPEN_UPLOAD: Final = "upload-1"  # an upload that every account has begun
PART_MAX: Final = 10_000
_KINDS: Final = ("image", "video", "audio", "document")
_FOLDERS: Final = ("Summer", "Behind the scenes", "Été 2025", "drafts")


def list_media(account: Account, call: Call) -> Answer:
    """`mediaType` and `folderName` narrow the list."""
    kinds, folder = call.query.get("mediaType"), call.query.get("folderName")
    if kinds is not None and not set(kinds.split(",")) <= set(_KINDS):
        raise PlatformError(400, "invalid_parameter", f"mediaType must be of {', '.join(_KINDS)}")
    found = account.things("media", _generated(account))
    if kinds is not None:
        found = [each for each in found if each["mediaType"] in kinds.split(",")]
    if folder is not None:
        found = [each for each in found if each["folder"] == folder]
    return page_of(call, found)


def list_folders(account: Account, call: Call) -> Answer:
    media = account.things("media", _generated(account))
    return page_of(
        call,
        [
            {"name": name, "mediaCount": sum(each["folder"] == name for each in media), "createdAt": moment(days=90)}
            for name in _FOLDERS
        ],
    )


def create_upload(account: Account, call: Call) -> Answer:
    """Begin an upload of `name` and `mediaType`."""
    kind = call.body().get("mediaType", "image")
    if kind not in _KINDS:
        raise PlatformError(422, "invalid_field", f"mediaType must be one of {', '.join(_KINDS)}")
    number = account.next_id()
    upload = {"id": number, "name": call.text("name", max_length=255), "mediaType": kind, "state": "open"}
    account.create("uploads", upload)
    return Answer({"mediaUuid": _media_uuid(number), "uploadId": f"up_{number}", "state": "open"}, status=201)


def read_part(account: Account, call: Call) -> Answer:
    """Where to put one part. The query is part of a signature: it must come through untouched."""
    upload, part = _upload_of(account, call), int(call.params["part"])
    if part > PART_MAX:
        raise PlatformError(400, "invalid_parameter", f"part may be {PART_MAX} at most")
    signature = f"{chance(account.id, 'part', upload['id'], part).getrandbits(128):032x}"
    return Answer({"url": f"https://uploads.sandbox.test/{upload['id']}/{part}?X-Signature={signature}&X-Expires=900"})


def finish_upload(account: Account, call: Call) -> Answer:
    """Finish an upload with its `parts`; the media is in the vault from then on. Doing it twice changes nothing."""
    upload = _upload_of(account, call)
    parts = call.body().get("parts", [])
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise PlatformError(422, "invalid_field", "parts must be a list of objects")
    if upload["state"] == "open":
        upload["state"] = "processing"
        account.create(
            "media",
            {"id": account.next_id(), "uuid": _media_uuid(upload["id"]), "name": upload["name"], "mediaType": upload["mediaType"],
             "folder": None, "url": None, "createdAt": moment()},
        )  # fmt: skip
    return Answer({"status": upload["state"], "mediaUuid": _media_uuid(upload["id"])})


def _upload_of(account: Account, call: Call) -> dict[str, Any]:
    text = call.params["upload_id"].removeprefix("up_")
    if text == OPEN_UPLOAD and FIRST_ID not in account.created.get("uploads", {}):
        account.create("uploads", {"id": FIRST_ID, "name": "first.jpg", "mediaType": "image", "state": "open"})
    text = str(FIRST_ID) if text == OPEN_UPLOAD else text
    upload = account.created.get("uploads", {}).get(int(text)) if text.isdecimal() else None
    if upload is None:
        raise not_found("upload")
    return upload


def _media_uuid(number: int) -> str:
    return f"00000000-0000-4000-a000-{number:012d}"


def _generated(account: Account) -> list[dict[str, Any]]:
    dice = chance(account.id, "media")
    return [
        {
            "id": FIRST_ID + n, "uuid": _media_uuid(FIRST_ID + n), "name": None if n % 3 else f"clip {n}",
            "mediaType": dice.choice(_KINDS[:3]), "folder": dice.choice((*_FOLDERS, None)),
            "url": avatar("media", FIRST_ID + n), "createdAt": moment(days=n),
        }
        for n in range(MEDIA_COUNT)
    ]  # fmt: skip
