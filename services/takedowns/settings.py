"""The settings of takedowns, read from `FANGATE_*` (docs/operations.md)."""

import secrets
from typing import Literal
from urllib.parse import urlsplit

from libs.common.settings import Secret, SettingsError
from libs.common.worker import WorkerSettings
from services.takedowns.domain.mail_token import MailTokens
from services.takedowns.domain.notice import Agent
from services.takedowns.domain.notice_mail import MailDomains
from services.takedowns.domain.notice_ports import Mailbox
from services.takedowns.domain.sending import Sending
from services.takedowns.gateways.cloudflare import CloudflareDesk, Reporter
from services.takedowns.gateways.lumen import Lumen
from services.takedowns.gateways.mailbox import open_mailbox
from services.takedowns.gateways.smtp import SmtpRelay


class TakedownsSettings(WorkerSettings, frozen=True, kw_only=True):
    """What takedowns reads beside what every worker does."""

    base_url: str = ""  # of this gateway: its own host is never a target
    takedowns_denied_hosts: str = ""  # host,host,…: never taken, nor what is below them

    agent_name: str = ""  # who signs notices, and where hosts reach them
    agent_address: str = ""
    agent_phone: str = ""
    agent_email: str = ""
    agent_city: str = ""  # these three only where an abuse desk's interface asks for them
    agent_state: str = ""
    agent_country: str = ""
    cloudflare_api_url: str = "https://api.cloudflare.com/client/v4"
    cloudflare_account_id: str = ""
    # Of an account that may report by interface; empty = its form, by a person.
    cloudflare_api_token: Secret = Secret("")
    lumen_api_url: str = "https://lumendatabase.org"
    # Of a submitter; empty = no copies are published, whatever organizations chose.
    lumen_api_token: Secret = Secret("")
    notice_mode: Literal["dry_run", "send"] = "dry_run"
    notice_legal_reviewed_by: str = ""  # who vouches for the wording of the templates
    notice_mail_dir: str = ""  # where mode dry_run leaves its mails; empty = nowhere
    notice_mails_per_day: int = 2_000  # of the sending domain; a new one begins with 50 and doubles daily
    smtp_url: Secret = Secret("")  # smtp://, smtp+starttls:// or smtps://
    mail_reply_domain: str = ""
    mail_bounce_domain: str = ""  # empty = the former
    mail_token_keys: Secret = Secret("")  # hex64,… - of the tokens in our addresses, active first
    mailbox_url: Secret = Secret("")  # maildir:/path or imaps://user:password@host/folder; empty = nothing is read
    verify_mode: Literal["off", "head", "get"] = "get"  # how removals are checked

    def sending(self) -> Sending:
        """Who signs, and whether anything leaves. Raises SettingsError where mode `send` lacks something."""
        needed = {
            "AGENT_NAME": self.agent_name, "AGENT_ADDRESS": self.agent_address, "AGENT_PHONE": self.agent_phone,
            "AGENT_EMAIL": self.agent_email, "NOTICE_LEGAL_REVIEWED_BY": self.notice_legal_reviewed_by,
            "SMTP_URL": self.smtp_url.reveal(), "MAIL_REPLY_DOMAIN": self.mail_reply_domain,
            "MAIL_TOKEN_KEYS": self.mail_token_keys.reveal(),
        }  # fmt: skip
        missing = [f"FANGATE_{name}" for name, value in needed.items() if not value.strip()]
        is_dry = self.notice_mode == "dry_run"
        if missing and not is_dry:
            raise SettingsError(f"FANGATE_NOTICE_MODE=send needs {', '.join(missing)}")
        try:
            tokens = MailTokens.parse(self.mail_token_keys.reveal() or secrets.token_hex(32))
        except ValueError as exc:
            raise SettingsError(f"FANGATE_MAIL_TOKEN_KEYS: {exc}") from None
        reply = self.mail_reply_domain or "reply.invalid"
        # What is unset shows in dry notices, so that nobody takes one for ready.
        agent = Agent(
            name=self.agent_name or "[FANGATE_AGENT_NAME]",
            address=self.agent_address or "[FANGATE_AGENT_ADDRESS]",
            phone=self.agent_phone or "[FANGATE_AGENT_PHONE]",
            email=self.agent_email or "agent@agent.invalid",
        )
        return Sending(
            agent=agent,
            domains=MailDomains(reply=reply, bounce=self.mail_bounce_domain or reply),
            tokens=tokens,
            is_dry=is_dry,
            mails_per_day=self.notice_mails_per_day,
        )

    def relay(self) -> SmtpRelay:
        """The relay of FANGATE_SMTP_URL. Raises SettingsError, which shows no password."""
        try:
            return SmtpRelay.parse(self.smtp_url.reveal())
        except ValueError as exc:
            raise SettingsError(f"FANGATE_SMTP_URL: {exc}") from None

    async def desks(self) -> dict[str, CloudflareDesk]:
        """The abuse desks whose interfaces can be used, by their id in the directory. Raises SettingsError, which shows no token."""
        if not self.cloudflare_api_token:
            return {}
        reporter = Reporter(
            address1=self.agent_address, city=self.agent_city, state=self.agent_state, country=self.agent_country,
            telephone=self.agent_phone,
        )  # fmt: skip
        try:
            cloudflare = await CloudflareDesk.open(
                base_url=self.cloudflare_api_url, account_id=self.cloudflare_account_id,
                token=self.cloudflare_api_token.reveal(), reporter=reporter,
            )  # fmt: skip
        except ValueError as exc:
            raise SettingsError(
                f"FANGATE_CLOUDFLARE_API_TOKEN needs the account's id and the agent's whole address: {exc}"
            ) from None
        return {"cloudflare": cloudflare}

    async def lumen(self) -> Lumen | None:
        """Where copies are published for organizations that chose so, if anywhere. Raises SettingsError, which shows no token."""
        if not self.lumen_api_token:
            return None
        try:
            return await Lumen.open(base_url=self.lumen_api_url, token=self.lumen_api_token.reveal())
        except ValueError as exc:
            raise SettingsError(f"FANGATE_LUMEN_API_URL: {exc}") from None

    def mailbox(self) -> Mailbox | None:
        """The mailbox of FANGATE_MAILBOX_URL, if there is one. Raises SettingsError, which shows no password."""
        if not self.mailbox_url:
            return None
        try:
            return open_mailbox(self.mailbox_url.reveal())
        except ValueError as exc:
            raise SettingsError(f"FANGATE_MAILBOX_URL: {exc}") from None

    def denied_hosts(self) -> list[str]:
        """Hosts whose URLs are refused."""
        own = urlsplit(self.base_url).hostname
        listed = [host.strip().lower() for host in self.takedowns_denied_hosts.split(",")]
        return [host for host in (own, *listed) if host]
