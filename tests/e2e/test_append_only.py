"""Who has billing's own login cannot change what is in the ledger."""

import asyncpg
import pytest

from tests.support.gateway_client import GatewayClient
from tests.support.stack import Organization, Stack

STATEMENTS = ("UPDATE billing.transfers SET amount = 1", "DELETE FROM billing.transfers", "TRUNCATE billing.transfers")


async def test_billing_itself_cannot_change_a_transfer(stack: Stack, organization: Organization) -> None:
    # given a debit
    before = await stack.debits(organization)
    async with GatewayClient(stack.url, organization.key) as client:
        assert (await client.get(organization.model_id, "/chats")).status == 200
    assert await stack.debits(organization, at_least=before + 1) == before + 1

    # when and then
    connection = await asyncpg.connect(stack.login("FANGATE_POSTGRES_DSN_BILLING"))
    try:
        for statement in STATEMENTS:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()
    assert await stack.ledger_is_sound(organization)
    assert await stack.debits(organization) == before + 1
