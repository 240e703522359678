"""One suite for the abuse desk in memory and Cloudflare's interface on a socket."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import msgspec
import pytest

from deploy.local import ports
from services.takedowns.domain.abuse_report import AbuseReport
from services.takedowns.domain.notice_errors import DeskRefused, MailDeferred, MailUncertain
from services.takedowns.domain.notice_ports import AbuseDesk
from services.takedowns.gateways.cloudflare import CloudflareDesk, Reporter
from tests.support.cloudflare import ACCOUNT, TOKEN, FakeCloudflare, a_cloudflare
from tests.support.takedowns_outside import MemoryDesk

REPORTER = Reporter(
    address1="1 Harbour Street", city="Dublin", state="Leinster", country="IE", telephone="+353 1 555 0100"
)
REPORT = AbuseReport(
    desk="cloudflare", name="Rights Desk Ltd", email="r+1.x@reply.example", holder="Luna Vale", work="Photographs of Luna Vale",
    urls=("https://leaks.example/a", "https://leaks.example/b"), comments="[TD-1] In good faith. Under penalty of perjury.",
)  # fmt: skip
ERRORS = {
    "later": ((429, "{}"), MailDeferred(429, "later"), MailDeferred),
    "busy": ((503, ""), MailDeferred(503, "busy"), MailDeferred),
    "no entitlement": ((401, "{}"), DeskRefused("401"), DeskRefused),
    "forbidden": ((403, "{}"), DeskRefused("403"), DeskRefused),
    "bad": ((400, "{}"), DeskRefused("400"), DeskRefused),
    "moved": ((302, ""), DeskRefused("302"), DeskRefused),
    "said no": ((200, '{"result": "failure"}'), DeskRefused("no"), DeskRefused),
    "broken": ((500, ""), MailUncertain("500"), MailUncertain),
    "unreadable": ((200, "<html>"), MailUncertain("html"), MailUncertain),
    "no object": ((200, "[1]"), MailUncertain("list"), MailUncertain),
    "hung up": ((0, None), MailUncertain("lost"), MailUncertain),
}


@dataclass
class Desk:
    port: AbuseDesk
    fail: Callable[[str], None]
    taken: Callable[[], list[tuple[str, str]]]  # holder and URLs


async def opened(fake: FakeCloudflare, *, token: str = TOKEN) -> CloudflareDesk:
    return await CloudflareDesk.open(base_url=fake.url, account_id=ACCOUNT, token=token, reporter=REPORTER)


@pytest.fixture(params=["memory", "cloudflare"])
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    if request.param == "memory":
        memory = MemoryDesk()
        yield Desk(
            memory, lambda how: memory.refusing.append(ERRORS[how][1]),
            lambda: [(report.holder, "\n".join(report.urls)) for report in memory.reports],
        )  # fmt: skip
        return
    async with a_cloudflare() as fake:
        real = await opened(fake)
        yield Desk(
            real, lambda how: fake.answers.append(ERRORS[how][0]),
            lambda: [(report["agent_name"], report["urls"]) for report in fake.reports],
        )  # fmt: skip
        await real.close()


async def test_a_report_is_taken_and_gets_a_number(desk: Desk) -> None:
    assert await desk.port.report(REPORT) == "rand-1"
    assert desk.taken() == [("Luna Vale", "https://leaks.example/a\nhttps://leaks.example/b")]


@pytest.mark.parametrize("how", ERRORS)
async def test_what_is_not_taken_is_one_of_three_cases_and_not_tried_again(desk: Desk, how: str) -> None:
    desk.fail(how)
    with pytest.raises(ERRORS[how][2]):
        await desk.port.report(REPORT)
    assert desk.taken() == []


async def test_a_desk_that_is_not_reached_took_nothing() -> None:
    (port,) = ports.pick(1)
    real = await CloudflareDesk.open(
        base_url=f"http://127.0.0.1:{port}", account_id=ACCOUNT, token=TOKEN, reporter=REPORTER
    )
    with pytest.raises(MailDeferred):
        await real.report(REPORT)
    await real.close()


async def test_a_wrong_token_is_a_persons_and_is_shown_nowhere() -> None:
    async with a_cloudflare() as fake:
        real = await opened(fake, token="wrong-secret-word")
        with pytest.raises(DeskRefused) as refused:
            await real.report(REPORT)
        await real.close()
    assert "secret-word" not in f"{refused.value!r} {refused.value}"


@pytest.mark.parametrize(
    ("base_url", "account", "reporter"),
    [
        ("http://api.cloudflare.com/client/v4", ACCOUNT, REPORTER), ("https://api.cloudflare.com", "../x", REPORTER), ("", ACCOUNT, REPORTER),
        ("https://api.cloudflare.com", ACCOUNT, msgspec.structs.replace(REPORTER, city=" ")),
        ("https://api.cloudflare.com", ACCOUNT, msgspec.structs.replace(REPORTER, address1="x" * 101)),
    ],
)  # fmt: skip
async def test_what_the_desk_would_refuse_always_does_not_start(
    base_url: str, account: str, reporter: Reporter
) -> None:
    with pytest.raises(ValueError) as wrong:
        await CloudflareDesk.open(base_url=base_url, account_id=account, token="secret-word", reporter=reporter)
    assert "secret-word" not in str(wrong.value)
