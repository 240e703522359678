"""The pages of the account, as a browser without script meets them."""

import re
from typing import Any

from tests.support.apps import PASSWORD, a_person, an_address
from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack
from tests.support.visitor import Visitor


def shown_key(text: str) -> str:
    found = re.search(r'<code id="secret">(fgu_\w+)</code>', text)
    assert found, text
    return found[1]


async def test_R134_a_user_makes_replaces_and_ends_their_key_on_a_page(
    stack: Stack, organization: Organization
) -> None:
    person = await a_person(stack, organization)
    async with Visitor(stack.url) as visitor:
        assert (await visitor.get("/account/key")).headers["Location"] == "/account/sign-in?next=%2Faccount%2Fkey"
        signed_in = await visitor.sign_in(person.email, PASSWORD, back="?next=%2Faccount%2Fkey")
        assert signed_in.headers["Location"] == "/account/key"
        page = await visitor.get("/account/key")
        assert "Make a key" in page.text
        assert 'value="read:chat" checked' in page.text
        assert 'value="write:chat">' in page.text, "no write by default"
        order: Any = {"label": "laptop", "model": organization.model_id, "scope": ["read:chat", "read:self"]}

        # the password is typed once more
        wrong = await visitor.post("/account/key", page, password="not the password", **order)
        assert (wrong.status, wrong.problem) == (400, "The password is not right")
        made = await visitor.post("/account/key", page, password=PASSWORD, **order)
        key = shown_key(made.text)
        async with GatewayClient(stack.url, key) as client:
            assert (await client.get(organization.model_id, "/chats")).status == 200
            assert (await client.send_message(organization.model_id, "1001", "x")).status == 403
            again = await visitor.get("/account/key")
            assert key not in again.text, "shown once"
            assert "read:chat, read:self" in again.text

            # what was called with it, once the edge has told
            await stack.until_seen(lambda: client.ask("GET", "/whoami"), lambda data: data["kind"] == "personal")
            second = shown_key((await visitor.post("/account/key", again, password=PASSWORD, **order)).text)
            assert (await client.ask("GET", "/whoami")).status == 401, "the new one took its place"
        async with GatewayClient(stack.url, second) as client:
            assert (await client.ask("GET", "/whoami")).status == 200
            page = await visitor.get("/account/key")
            assert (await visitor.post("/account/key/revoke", page)).status == 303
            assert (await client.ask("GET", "/whoami")).status == 401
        assert "Your key" not in (await visitor.get("/account/key")).text


async def test_R134_a_user_gives_a_key_no_more_than_their_role_has(stack: Stack, organization: Organization) -> None:
    person = await a_person(stack, organization, role="read_only")
    async with Visitor(stack.url) as visitor:
        await visitor.sign_in(person.email, PASSWORD)
        page = await visitor.get("/account/key")
        refused = await visitor.post(
            "/account/key", page, password=PASSWORD, label="x", scope=["read:chat", "write:chat"]
        )
        none = await visitor.post("/account/key", page, password=PASSWORD, label="x")
        odd = await visitor.post("/account/key", page, password=PASSWORD, label="x", scope="read:chat", model="nothing")
        foreign = await visitor.post(
            "/account/key", page, password=PASSWORD, label="x", scope="read:chat", model=person.user_id
        )
    assert refused.status == 400
    assert refused.problem.startswith("Your role does not allow ")
    assert [page.status for page in (none, odd, foreign)] == [400, 400, 400]


async def test_signing_out_ends_the_session_and_everywhere_all_of_them(
    stack: Stack, organization: Organization
) -> None:
    person = await a_person(stack, organization)
    async with Visitor(stack.url) as one, Visitor(stack.url) as two, Visitor(stack.url) as three:
        for visitor in (one, two, three):
            assert (await visitor.sign_in(person.email, PASSWORD)).status == 303
        kept = one.cookie()
        assert (await one.post("/account/sign-out", await one.get("/account"))).status == 303
        one.plant(kept)
        assert (await one.get("/account")).status == 303, "the cookie opens nothing any more"
        assert (await two.get("/account")).status == 200
        assert (await two.post("/account/sign-out", await two.get("/account"), everywhere="1")).status == 303
        assert (await three.get("/account")).status == 303


async def test_a_password_link_of_the_operator_sets_it_once_and_signs_out_everywhere(
    stack: Stack, organization: Organization
) -> None:
    person = await a_person(stack, organization)
    new = "another long password"
    async with Visitor(stack.url) as visitor, Visitor(stack.url) as signed_in:
        await signed_in.sign_in(person.email, PASSWORD)
        path = (await stack.cli("auth", "user", "password-link", person.user_id))["path"]
        page = await visitor.get(path)
        assert person.email in page.text
        short = await visitor.post(path, page, password="short", again="short")
        unequal = await visitor.post(path, page, password=new, again=new + "x")
        done = await visitor.post(path, page, password=new, again=new)
        used = await visitor.get(path)
        assert [each.status for each in (short, unequal, done, used)] == [400, 400, 200, 404]
        assert (await signed_in.get("/account")).status == 303
        assert (await visitor.sign_in(person.email, PASSWORD)).status == 400
        assert (await visitor.sign_in(person.email, new)).status == 303


async def test_failed_sign_ins_are_slowed_down_by_address_and_by_account(
    stack: Stack, second_edge: str, organization: Organization
) -> None:
    person, neighbour = await a_person(stack, organization), await a_person(stack, organization)
    # by account: guesses from many addresses
    for _ in range(10):
        async with Visitor(second_edge, address=an_address()) as guesser:
            wrong = await guesser.sign_in(person.email, "a wrong password")
            assert (wrong.status, wrong.problem) == (400, "The address or the password is not right.")
    async with Visitor(second_edge, address=an_address()) as owner:
        blocked = await owner.sign_in(person.email, PASSWORD)
        assert blocked.status == 429
        assert int(blocked.headers["Retry-After"]) >= 1
    # by address: guesses at many accounts, of people and of nobody
    address = an_address()
    async with Visitor(second_edge, address=address) as guesser:
        for number in range(10):
            assert (await guesser.sign_in(f"nobody-{number}-{address}@example.test", "a wrong password")).status == 400
        assert (await guesser.sign_in(neighbour.email, PASSWORD)).status == 429
    async with Visitor(second_edge, address=an_address()) as other:
        assert (await other.sign_in(neighbour.email, PASSWORD)).status == 303


async def test_bad_forms_and_paths_are_never_a_500(stack: Stack, organization: Organization) -> None:
    person = await a_person(stack, organization)
    async with Visitor(stack.url) as visitor:
        await visitor.sign_in(person.email, PASSWORD)
        page = await visitor.get("/account/apps")
        answers = [
            await visitor.get("/account/nothing"),
            await visitor.get("/accounts"),
            await visitor.get("/account/sign-out"),
            await visitor.post("/account", await visitor.get("/account")),
            await visitor.post("/account/apps/revoke", await visitor.get("/account"), grant="x"),
            await visitor.post("/account/apps/revoke", await visitor.get("/account"), grant=person.user_id),
            await visitor.post("/account/apps/revoke", await visitor.get("/account")),
            await visitor.post("/account/key", await visitor.get("/account"), label="x" * 9_000),
            await visitor.post("/account/key", await visitor.get("/account"), label="\x00", password="y", scope="z"),
        ]
    assert page.status == 200
    assert [answer.status for answer in answers] == [404, 404, 405, 405, 400, 404, 400, 413, 400]
