"""Who signs notices, where answers come back to, and whether anything leaves at all."""

import msgspec

from services.takedowns.domain.mail_token import MailTokens
from services.takedowns.domain.notice import Agent
from services.takedowns.domain.notice_mail import MailDomains


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's part of every notice."""

    agent: Agent
    domains: MailDomains
    tokens: MailTokens
    is_dry: bool = True
    mails_per_day: int = 2_000  # of the sending domain, once it is warm
