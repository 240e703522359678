"""How a platform of the kind "e-mail, password, cookie" is spoken to: every path, field and status as data.

The defaults are those of the sandbox. For another platform FANGATE_SESSION_PLATFORM_PATHS holds a JSON object with the
members that differ.
"""

import msgspec

from libs.common.settings import SettingsError


class Dialect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Paths are below the platform's URL; fields are members of JSON objects, dots step into them."""

    prefix: str = ""  # before every path of the catalogue
    login: str = "/auth/login"
    two_factor: str = "/auth/two-factor"
    renew: str = "/auth/refresh"
    logout: str = "/auth/logout"
    headers: dict[str, str] = {}  # sent with every request
    email_field: str = "email"
    password_field: str = "password"  # noqa: S105 - the name of a field
    code_field: str = "code"
    challenge_sent_as: str = "challenge"
    account_field: str = "user.id"
    challenge_field: str = "twoFactor.challenge"
    lifetime_field: str = "expiresIn"  # seconds; missing = the platform does not say, and is not renewed ahead
    refused_statuses: frozenset[int] = frozenset(
        {400, 401, 403, 404, 422}
    )  # of a sign-in, in JSON: not the platform's trouble
    challenge_gone_statuses: frozenset[int] = frozenset({410})
    session_refused_statuses: frozenset[int] = frozenset({401})  # of any call


def parse_dialect(text: str) -> Dialect:
    """The dialect of the setting; empty = the default. Raises SettingsError naming what is wrong."""
    try:
        return msgspec.json.decode(text or "{}", type=Dialect)
    except msgspec.MsgspecError as exc:
        raise SettingsError(f"FANGATE_SESSION_PLATFORM_PATHS: {exc}") from None


def member(value: object, path: str) -> object:
    """The member of a decoded JSON object at `a.b.c`, or None."""
    for name in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value
