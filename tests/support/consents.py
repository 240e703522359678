"""The edge's part of a consent, by hand: a connect link of provider `fanvue`, a browser that is sent to the sandbox and back."""

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import msgspec

from libs.common.contracts import models
from libs.common.contracts.models import Form, FormKey, GetFormKey
from libs.common.sealing import seal_form
from services.edge.domain.consent import Trip
from tests.support.sandbox import DEMO_EMAIL
from tests.support.sessions import Sessions


@dataclass
class Consent:
    """One link, and the newest trip behind it."""

    sessions: Sessions
    digest: bytes = field(default_factory=lambda: hashlib.sha256(secrets.token_bytes(32)).digest())
    trip: Trip = field(default_factory=Trip.begin)
    url: str = ""

    async def create(self, *, label: str = "one", **more: Any) -> models.ModelAnswer:
        """A fresh model and its link."""
        org_id = self.sessions.org_id
        asked = models.CreateModel(org_id=org_id, provider="fanvue", label=label, link=self.digest, **more)
        answer: models.ModelAnswer = await self.sessions.ask(asked)
        return answer

    async def show(self) -> models.LinkShown:
        shown: models.LinkShown = await self.sessions.ask(models.GetLink(link=self.digest))
        return shown

    async def start(self) -> str:
        """Click: where the browser goes."""
        self.trip = Trip.begin()
        asked = models.StartConsent(link=self.digest, consent=self.trip.digest, challenge=self.trip.challenge)
        started: models.ConsentStarted = await self.sessions.ask(asked)
        self.url = f"{started.url}&state={self.trip.state}"
        return self.url

    async def allow(self, email: str = DEMO_EMAIL) -> dict[str, str]:
        """What the platform sends the browser back with, once the creator allowed it."""
        return await came_back(f"{self.url}&prompt=none&login_hint={email}")

    async def finish(self, back: dict[str, str], *, trip: Trip | None = None, **said: str) -> models.LinkShown:
        """Come back with it. `trip`: in another browser; `said`: what differs."""
        trip, said = trip or self.trip, {"error": back.get("error", ""), "issuer": back.get("iss", ""), **said}
        sealed = b""
        if "code" in back:
            key: FormKey = await self.sessions.ask(GetFormKey())
            form = msgspec.json.encode(Form(code=back["code"], verifier=trip.verifier))
            sealed = seal_form(key.name, key.public, bound_to=trip.digest, form=form)
        finished = models.FinishConsent(consent=trip.digest, sealed=sealed, address="192.0.2.7", **said)
        shown: models.LinkShown = await self.sessions.ask(finished)
        return shown

    async def connect(self, email: str = DEMO_EMAIL) -> models.LinkShown:
        """The whole way."""
        await self.start()
        return await self.finish(await self.allow(email))


async def came_back(url: str) -> dict[str, str]:
    """The query of the address that a page of the platform redirects to."""
    async with aiohttp.ClientSession() as browser, browser.get(url, allow_redirects=False) as answer:
        assert answer.status == 303, await answer.text()
        return dict(parse_qsl(urlsplit(answer.headers["Location"]).query, keep_blank_values=True))
