"""The connect link: what its page shows, and what happens when its form is sent."""

from dataclasses import dataclass
from typing import Final

import msgspec

from libs.common.clock import Clock
from libs.common.contracts import models
from libs.common.contracts.auth import Actor
from libs.common.sealing import FormBroken, FormKeyMissing, FormKeys
from services.sessions.domain.credentials import Credentials
from services.sessions.domain.errors import AccountTaken, FormKeyUnknown, InvalidRequest, LinkGone
from services.sessions.domain.link import LinkView
from services.sessions.domain.model import State, deed_of
from services.sessions.domain.ports import ModelStore, ModelViews
from services.sessions.usecases.connect_model import give
from services.sessions.usecases.connect_now import ConnectNow

FIELD_LENGTH_MAX: Final = 1_024
CODE_LENGTH_MAX: Final = 32


@dataclass(frozen=True, slots=True)
class UseLink:
    """A link is used once: when the model is connected behind it, nothing can be typed there any more."""

    store: ModelStore
    views: ModelViews
    connect_now: ConnectNow
    clock: Clock
    keys: FormKeys

    async def show(self, asked: models.GetLink) -> models.LinkShown:
        """What the page says. Raises LinkGone."""
        return shown(await self._find(asked.link))

    async def __call__(self, asked: models.UseLink) -> models.LinkShown:
        """Take the form down, sign in, and answer what came of it. Raises LinkGone, InvalidRequest, FormKeyUnknown."""
        form = opened_form(self.keys, asked.sealed, bound_to=asked.link)
        view = await self._find(asked.link)
        if view.is_used:
            raise LinkGone
        if view.step == "connected":
            return shown(view)
        link = view.link
        credentials = Credentials(email=form.email, password=form.password) if form.password else None
        if credentials is None and view.state is not State.AWAITING_2FA:
            return shown(view)  # a page that was left open asked for a code; the newest one says what is wanted
        async with self.store.exclusive(link.org_id, link.model_id) as held:
            contents = await held.load()
            if contents is None or not await held.take_attempt(link.digest, self.clock.now()):
                raise LinkGone
            try:
                await give(held, contents, credentials, form.code)
            except AccountTaken as exc:
                raise InvalidRequest("This account is connected already, as another model") from exc
            by = Actor(address=asked.address, is_link=True)
            typed = "code" if credentials is None else "credentials"
            await held.note(deed_of(contents.model, "use_link", by, typed=typed))
        await self.connect_now(link.org_id, link.model_id)
        return shown(await self._find(link.digest))

    async def _find(self, digest: bytes) -> LinkView:
        view = await self.views.find_link(digest, self.clock.now())
        if view is None:
            raise LinkGone
        return view


def read_form(keys: FormKeys, sealed: bytes, *, bound_to: bytes) -> models.Form:
    """The form inside the seal. Raises FormKeyUnknown, InvalidRequest; neither tells what was in it."""
    try:
        return msgspec.json.decode(keys.open(sealed, bound_to=bound_to), type=models.Form)
    except FormKeyMissing as exc:
        raise FormKeyUnknown from exc
    except (FormBroken, msgspec.MsgspecError) as exc:
        raise InvalidRequest("The form cannot be read: send it again") from exc


def opened_form(keys: FormKeys, sealed: bytes, *, bound_to: bytes) -> models.Form:
    """A form that somebody typed, of bearable size. Raises as `read_form`."""
    form = read_form(keys, sealed, bound_to=bound_to)
    is_short = max(len(form.email), len(form.password)) <= FIELD_LENGTH_MAX and len(form.code) <= CODE_LENGTH_MAX
    if not is_short or bool(form.email) != bool(form.password) or not (form.password or form.code):
        raise InvalidRequest("Either e-mail and password, or a code is expected")
    return form


def shown(view: LinkView) -> models.LinkShown:
    """A link as its page needs it."""
    return models.LinkShown(
        label=view.label,
        provider=view.provider,
        step=view.step,
        expires_at=view.link.expires_at,
        reason="" if view.step in ("connected", "working") else view.reason,
    )
