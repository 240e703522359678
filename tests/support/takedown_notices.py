"""Notices for tests: valid, with one thing changed."""

import uuid
from typing import Any

import msgspec

from libs.common.contracts.creators import OfficialLink
from services.takedowns.domain.notice import Agent, Draft, Work
from services.takedowns.domain.states import Stage

NOTICE_ID = uuid.UUID("018f3c2a-7b1e-7c3d-8a9b-0123456789ab")
AGENT = Agent(
    name="Rights Desk Ltd",
    address="1 Harbour Street, Dublin 1, Ireland",
    phone="+353 1 555 0100",
    email="agent@rights.example",
)
WORK = Work(
    stage_name="Luna Vale",
    links=(OfficialLink(platform="onlyfans", handle="lunavale"), OfficialLink(platform="fansly", handle="luna.vale")),
    legal_name="Maria Secret",
)
TOKEN_KEY = "ab" * 32


def a_draft(**changes: Any) -> Draft:
    """A draft to a site about two URLs."""
    draft = Draft(
        notice_id=NOTICE_ID, agent=AGENT, work=WORK, host="leaks.example",
        urls=("https://leaks.example/a?b=1", "https://leaks.example/c"), stage=Stage.SITE,
    )  # fmt: skip
    return msgspec.structs.replace(draft, **changes)
