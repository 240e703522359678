"""A month of the ledger as a file that proves itself."""

import asyncio
import csv
import io
from datetime import UTC, datetime

from tests.support.gateway_client import GatewayClient
from tests.support.ledger_export import lines_of, seal_faults
from tests.support.stack import Stack


async def test_a_month_is_exported_with_its_seals(stack: Stack) -> None:
    tenant = await stack.an_organization(credits=50)
    month = f"{datetime.now(UTC):%Y-%m}"
    async with GatewayClient(stack.url, tenant.key) as client:
        for _ in range(3):
            assert (await client.get(tenant.model_id, "/chats")).status == 200
        await stack.debits(tenant, at_least=3)

        async with asyncio.timeout(150):  # what is posted is sealed within the minute
            while True:
                answer = await client.ask("GET", f"/ledger/export?month={month}")
                lines = lines_of(answer.body)
                if sum(line.get("route") == "chats_list" for line in lines) == 3:
                    break
                await asyncio.sleep(1)
        as_csv = await client.ask("GET", f"/ledger/export?month={month}&format=csv")

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="ledger-{month}.ndjson"'
    assert "X-Request-Id" in answer.headers
    assert "X-RateLimit-Limit" in answer.headers
    assert "Server" not in answer.headers
    assert lines[0] == {"kind": "export", "org_id": tenant.org_id, "month": month}
    assert seal_faults(lines) == []
    assert as_csv.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(as_csv.body.decode())))
    assert [(row["kind"], row["id"], row["chain"]) for row in rows] == [
        (line["kind"], line.get("id", ""), line.get("chain", "")) for line in lines
    ]


async def test_what_is_no_month_is_refused_before_a_file_is_promised(stack: Stack) -> None:
    tenant = await stack.an_organization(plan=None)
    async with GatewayClient(stack.url, tenant.key) as client:
        for query in ("", "?month=2026-13", "?month=march", "?month=2026-03&format=pdf", "?month=2026-03&colour=red"):
            answer = await client.ask("GET", f"/ledger/export{query}")
            assert (answer.status, answer.json["code"]) == (400, "INVALID_REQUEST"), query
            assert answer.headers["Content-Type"] == "application/json"
        empty = await client.ask("GET", "/ledger/export?month=2025-02")
    assert lines_of(empty.body)[1:] == [{"kind": "end", "seals": 0, "transfers": 0}]
