"""Cloudflare's abuse interface: `POST /accounts/{id}/abuse-reports/abuse_dmca`. It needs an entitlement; without it every report is
answered 401 or 403, and a person fills the form in.
"""

from typing import Any, Final, Self

import msgspec

from libs.common.http.client import HttpClient
from libs.common.http.connection import HttpAnswer
from services.takedowns.domain.abuse_report import AbuseReport
from services.takedowns.domain.notice_errors import DeskRefused, MailUncertain
from services.takedowns.gateways.post_once import base_of, post_once

CONNECTIONS_MAX: Final = 4
ANSWER_BYTES_MAX: Final = 64 << 10
TICKET_LENGTH_MAX: Final = 100
FIELD_LENGTHS_MAX: Final = {"address1": 100, "city": 255, "state": 255, "country": 255, "name": 255}
TELEPHONE_LENGTH_MAX: Final = 20


class Reporter(msgspec.Struct, frozen=True, kw_only=True):
    """Who reports: the agent, in the desk's fields."""

    address1: str
    city: str
    state: str
    country: str
    telephone: str = ""

    def check(self) -> None:
        """Raise ValueError, naming the field, for what the desk would refuse. A shortened address would be a false one."""
        for name in ("address1", "city", "state", "country"):
            if not 1 <= len(getattr(self, name).strip()) <= FIELD_LENGTHS_MAX[name]:
                raise ValueError(f"{name}: 1 to {FIELD_LENGTHS_MAX[name]} characters are expected")


class _Answer(msgspec.Struct):
    result: Any = None
    abuse_rand: str = ""


class CloudflareDesk:
    """The port `AbuseDesk`. Use `open`."""

    def __init__(self, http: HttpClient, url: str, token: str, reporter: Reporter) -> None:
        self._http, self._url, self._token, self._reporter = http, url, token, reporter

    @classmethod
    async def open(cls, *, base_url: str, account_id: str, token: str, reporter: Reporter) -> Self:
        """Raises ValueError, which shows no token."""
        base = base_of(base_url)
        if not account_id.isalnum():
            raise ValueError("the account's id is letters and digits")
        reporter.check()
        http = await HttpClient.open(connections_max=CONNECTIONS_MAX, body_bytes_max=ANSWER_BYTES_MAX)
        return cls(http, f"{base}/accounts/{account_id}/abuse-reports/abuse_dmca", token, reporter)

    async def close(self) -> None:
        await self._http.close()

    async def report(self, report: AbuseReport) -> str:
        """See the port."""
        token = {"Authorization": f"Bearer {self._token}"}
        return _ticket(await post_once(self._http, self._url, self._fields(report), token=token))

    def _fields(self, report: AbuseReport) -> dict[str, Any]:
        who = self._reporter
        fields = {
            "act": "abuse_dmca", "agree": 1, "agent_name": report.holder, "name": report.name[: FIELD_LENGTHS_MAX["name"]],
            "signature": report.name[: FIELD_LENGTHS_MAX["name"]], "title": "Authorized agent", "email": report.email, "email2": report.email,
            "address1": who.address1, "city": who.city, "state": who.state, "country": who.country,
            "original_work": report.work, "urls": "\n".join(report.urls), "comments": report.comments,
            "host_notification": "send", "owner_notification": "send",
        }  # fmt: skip
        if 1 <= len(who.telephone) <= TELEPHONE_LENGTH_MAX:
            fields["tele"] = who.telephone
        return fields


def _ticket(answer: HttpAnswer) -> str:
    """The number of a report that was taken. What no answer of this interface looks like may have been taken."""
    if answer.status >= 300:
        raise DeskRefused(f"the desk answered {answer.status}")
    try:
        said = msgspec.json.decode(answer.body, type=_Answer)
    except msgspec.MsgspecError as exc:
        raise MailUncertain("the desk's answer cannot be read") from exc
    if said.result != "success":
        raise DeskRefused("the desk did not take it")
    return said.abuse_rand[:TICKET_LENGTH_MAX]
