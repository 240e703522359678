"""The page of a connect link, as a browser meets it."""

from tests.support.connect_page import Browser
from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack

PASSWORD = "sandbox-demo-password"


async def a_link(stack: Stack, organization: Organization, label: str) -> str:
    async with GatewayClient(stack.url, organization.key) as client:
        answer = await client.ask("POST", "/models", provider="session", label=label)
    url = answer.json["data"]["connect_url"]
    assert isinstance(url, str)
    return url


async def test_it_allows_no_script_no_frame_and_no_cache(stack: Stack, organization: Organization) -> None:
    async with Browser(await a_link(stack, organization, "<script>alert(1)</script> & {co}")) as browser:
        page = await browser.open()
    assert page.status == 200
    assert page.headers["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    assert page.headers["Cache-Control"] == "no-store"
    assert "<script" not in page.text
    assert page.title == "Connect &lt;script&gt;alert(1)&lt;/script&gt; &amp; {co}"
    assert page.fields == ["email", "password"]
    for promise in ("HttpOnly", "SameSite=Strict", "Path=/connect/"):
        assert promise in page.headers["Set-Cookie"]


async def test_every_step_is_said_plainly_and_the_link_works_once(stack: Stack, organization: Organization) -> None:
    async with Browser(await a_link(stack, organization, "Every step")) as browser:
        page = await browser.open()
        page = await browser.send(page, email="two-factor-page@sandbox.test", password="wrong")
        assert page.problem == "The platform did not accept this e-mail address and password."
        assert "wrong" not in page.text
        page = await browser.send(page, email="two-factor-page@sandbox.test", password=PASSWORD)
        assert page.fields == ["code"]
        page = await browser.send(page, code="000000")
        assert page.problem == "The platform did not accept this code."
        form = page
        page = await browser.send(page, code="123456")
        assert (page.title, page.fields) == ("Every step is connected", [])
        again = await browser.send(form, email="other@sandbox.test", password=PASSWORD)
        assert (again.status, again.title) == (404, "The link does not work")


async def test_a_form_from_elsewhere_is_not_taken(stack: Stack, organization: Organization) -> None:
    url = await a_link(stack, organization, "From elsewhere")
    email = "me@sandbox.test"
    async with Browser(url) as browser, Browser(url) as other:
        page = await browser.open()
        for headers in (
            {"Origin": "https://evil.example"}, {"Origin": "null"}, {}, {"Sec-Fetch-Site": "cross-site"},
            {"Origin": browser.origin, "Sec-Fetch-Site": "cross-site"},
        ):  # fmt: skip
            assert (await browser.send(page, headers=headers, email=email, password=PASSWORD)).status == 403
        assert (await other.send(page, email=email, password=PASSWORD)).status == 403  # the form of another browser
        assert (await browser.open()).fields == ["email", "password"]


async def test_what_is_no_link_is_said_so(stack: Stack) -> None:
    for tail in ("x", "A" * 43, "..", "A" * 44, "%00"):
        async with Browser(f"{stack.url}/connect/{tail}") as browser:
            page = await browser.open()
        assert page.status == 404, tail
    async with Browser(f"{stack.url}/connect/style.css") as browser:
        style = await browser.open()
    assert (style.status, style.headers["Content-Type"]) == (200, "text/css; charset=utf-8")
