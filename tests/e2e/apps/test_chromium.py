"""Sign-in and consent in a real browser: its policies of content, origins and cookies let the flow through, and no frame."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.apps import PASSWORD, a_person, a_pkce, an_app, auth_path, exchange
from tests.support.browser import PROGRAM, a_tab
from tests.support.stack import Organization, Stack


@pytest.mark.skipif(PROGRAM is None, reason="no Chromium on this machine: make tools installs it")
async def test_R180_a_browser_signs_in_allows_an_app_and_shows_no_consent_in_a_frame(
    stack: Stack, organization: Organization, tmp_path: Path
) -> None:
    # given an app that listens where it is sent to, and a page that frames the consent
    arrived: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()

    async def callback(request: web.Request) -> web.Response:
        if not arrived.done():
            arrived.set_result(dict(request.query))
        return web.Response(text="thank you")

    async def frame(_request: web.Request) -> web.Response:
        return web.Response(text=f'<iframe src="{stack.url}{path}"></iframe>', content_type="text/html")

    server = web.Application()
    server.router.add_get("/callback", callback)
    server.router.add_get("/frame", frame)
    runner = web.AppRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    person, pkce = await a_person(stack, organization), a_pkce()
    app = await an_app(stack, person, redirect_uri=f"http://127.0.0.1:{port}/callback")
    path = auth_path(app, pkce)
    try:
        async with a_tab(tmp_path) as tab:
            # when
            await tab.open(stack.url + path)
            assert await tab.evaluate("document.querySelector('h1').textContent") == "Sign in"
            await tab.go_on(
                f"document.querySelector('#email').value = {person.email!r};"
                f"document.querySelector('#password').value = {PASSWORD!r};"
                "document.querySelector('form').requestSubmit()",
                to=f"{stack.url}/oauth2/auth",
            )
            assert await tab.evaluate("document.querySelector('h1').textContent") == "Allow Chat Helper?"
            assert await tab.evaluate("document.cookie") == "", "no script reads the session"
            complaints = list(tab.complaints)
            await tab.open(f"http://127.0.0.1:{port}/frame")
            refused = [each for each in tab.complaints if "frame-ancestors" in each or "X-Frame-Options" in each]
            await tab.open(stack.url + path)
            await tab.go_on(
                f"document.querySelector('input[value=\"{organization.model_id}\"]').checked = true;"
                "document.querySelector('button[value=allow]').click()",
                to=app.redirect_uri,
            )
            answer = await asyncio.wait_for(arrived, 30)
    finally:
        await runner.cleanup()
    # then
    assert complaints == []
    assert refused, "the browser says why there is nothing in the frame"
    assert (answer["state"], answer["iss"]) == ("a state", stack.url)
    assert (await exchange(stack, app, answer["code"], pkce)).status == 200
