"""Calls that carry a bearer token: the dialect `fanvue` of the sandbox. They name a version, stay inside their scopes, and are
counted: every answer says how many are left.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

from libs.common.contracts.catalogue import CatalogueRoute
from services.sessions.sandbox.calls import PlatformError
from services.sessions.sandbox.data.account import Account
from services.sessions.sandbox.grants import Grants

VERSION_HEADER: Final = "X-Fanvue-API-Version"
LIMIT: Final = 10_000  # calls of an account in a window; tests set their own
WINDOW_SECONDS: Final = 60
ACCOUNTS_MAX: Final = 20_000
_VERSION: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Bearers:
    """`now` counts seconds since 1970: what the headers say is a time of the clock."""

    def __init__(self, grants: Grants, now: Callable[[], float]) -> None:
        self._grants = grants
        self._now = now
        self.limit = LIMIT
        self._made: OrderedDict[int, tuple[int, int]] = OrderedDict()  # account -> (window, calls in it)

    def account(self, token: str, route: CatalogueRoute, headers: Mapping[str, str], path: str) -> Account:
        """Whose call it is. Raises PlatformError: 401, 404, 400, 403."""
        grant = self._grants.grant_of(token)
        if grant is None:
            raise PlatformError(401, "unauthorized", "The token is not valid (any more)")
        if path != route.fanvue_upstream:
            raise PlatformError(404, "not_found", "No such path in this API")
        if not _VERSION.fullmatch(headers.get(VERSION_HEADER, "")):
            raise PlatformError(400, "version_required", f"{VERSION_HEADER} is required")
        if missing := route.scopes - set(grant.scopes):
            raise PlatformError(403, "insufficient_scope", f"The token lacks {', '.join(sorted(missing))}")
        return grant.account

    def count(self, account: Account) -> dict[str, str]:
        """Count a call, and answer the headers that say so; with `Retry-After` it is one too many."""
        window, made = self._window(account)
        self._made[account.id] = (window, made + 1)
        self._made.move_to_end(account.id)
        if len(self._made) > ACCOUNTS_MAX:
            self._made.popitem(last=False)
        headers = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(0, self.limit - made - 1)),
            "X-RateLimit-Reset": str((window + 1) * WINDOW_SECONDS),
        }
        if made >= self.limit:
            headers["Retry-After"] = str(max(1, (window + 1) * WINDOW_SECONDS - int(self._now())))
        return headers

    def _window(self, account: Account) -> tuple[int, int]:
        window = int(self._now()) // WINDOW_SECONDS
        known, made = self._made.get(account.id, (window, 0))
        return (window, made) if known == window else (window, 0)
