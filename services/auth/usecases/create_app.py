"""A new app of a third party, with its first client secret."""

import uuid
from dataclasses import dataclass

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.auth import APPS, Actor
from libs.common.ids import KEY_START_LENGTH, new_key, uuid7
from libs.common.peppers import PepperRing
from services.auth.domain.app import (
    APPS_MAX,
    SECRETS_MAX,
    App,
    Secret,
    Stage,
    check_overlap,
    checked_app_name,
    checked_redirects,
    checked_webhooks,
)
from services.auth.domain.app_ports import AppAccounts
from services.auth.domain.errors import Conflict, InvalidRequest, NotEnabled
from services.auth.domain.organization import UserState

SECRET_PREFIX = "fgs_"  # noqa: S105 - the prefix of one


class AppOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The app that is wanted; `owner_id` answers for it."""

    org_id: uuid.UUID
    owner_id: uuid.UUID
    name: str
    redirect_uris: tuple[str, ...]
    webhook_urls: tuple[str, ...] = ()
    is_confidential: bool = True
    by: Actor | None = None


class MadeApp(msgspec.Struct, frozen=True, kw_only=True):
    """`secret` is the client secret itself: after this it exists nowhere but with its owner. Empty for a public app."""

    app_id: uuid.UUID
    secret: str = ""

    def __repr__(self) -> str:
        return f"MadeApp(app_id={self.app_id}, secret='***')"


@dataclass(frozen=True, slots=True)
class CreateApp:
    """Register an app in development. Raises InvalidRequest (name, URLs), NotFound (the owner), Conflict (the owner is not active, or
    has too many), NotEnabled.
    """

    accounts: AppAccounts
    peppers: PepperRing
    clock: Clock

    async def __call__(self, order: AppOrder) -> MadeApp:
        now = self.clock.now()
        app = App(
            app_id=uuid7(),
            org_id=order.org_id,
            user_id=order.owner_id,
            name=checked_app_name(order.name),
            is_confidential=order.is_confidential,
            redirect_uris=checked_redirects(order.redirect_uris, Stage.DEVELOPMENT),
            webhook_urls=checked_webhooks(order.webhook_urls),
            created_at=now,
        )
        async with self.accounts.change(order.org_id, order.by) as change:
            if APPS not in change.organization.features:
                raise NotEnabled("Apps are not enabled for this organization: ask the operator")
            owner = await change.user(order.owner_id)
            if owner.state is not UserState.ACTIVE:
                raise Conflict(f"The user is {owner.state}: an active user answers for an app")
            if await change.count_apps(owner.user_id) >= APPS_MAX:
                raise Conflict(f"The user has {APPS_MAX} apps: delete one first")
            await change.add_app(app)
            if not app.is_confidential:
                return MadeApp(app_id=app.app_id)
            text, secret = new_secret(self.peppers, self.clock)
            await change.add_secret(app.app_id, secret)
        # Only after the commit: a secret that was shown exists.
        return MadeApp(app_id=app.app_id, secret=text)


@dataclass(frozen=True, slots=True)
class RotateAppSecret:
    """Another client secret; the ones before end after the overlap, and of three the oldest at once.

    Raises InvalidRequest (the overlap), NotFound, Conflict (a public app).
    """

    accounts: AppAccounts
    peppers: PepperRing
    clock: Clock

    async def __call__(
        self, org_id: uuid.UUID, app_id: uuid.UUID, *, overlap_seconds: int, by: Actor | None = None
    ) -> MadeApp:
        overlap, now = check_overlap(overlap_seconds), self.clock.now()
        async with self.accounts.change(org_id, by) as change:
            app = await change.app(app_id)
            if not app.is_confidential:
                raise Conflict("A public app has no secret")
            live = [each for each in await change.secrets(app_id) if each.is_live(now)]
            for place, old in enumerate(reversed(live), start=2):
                await change.end_secret(old, now + overlap if place <= SECRETS_MAX else now)
            text, secret = new_secret(self.peppers, self.clock)
            await change.add_secret(app_id, secret)
        return MadeApp(app_id=app_id, secret=text)


def new_secret(peppers: PepperRing, clock: Clock) -> tuple[str, Secret]:
    """A fresh client secret, and its row."""
    text = new_key(SECRET_PREFIX)
    pepper, digest = peppers.digests(text)[0]
    row = Secret(secret_id=uuid7(), digest=digest, pepper=pepper, start=text[:KEY_START_LENGTH], created_at=clock.now())
    return text, row


def checked_stage(name: str) -> Stage:
    """The stage called so; else InvalidRequest."""
    try:
        return Stage(name)
    except ValueError:
        raise InvalidRequest(f"stage: one of {', '.join(Stage)}") from None
