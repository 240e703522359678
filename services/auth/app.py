"""The composition root of auth: every object is built here, once, in order."""

from libs.common.bus import Bus
from libs.common.clock import Clock, SystemClock
from libs.common.db.migrate import schema_is_current
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.db.relay import Relay
from libs.common.errors import Unavailable
from libs.common.peppers import PepperRing
from libs.common.process import Process
from libs.common.settings import load
from services.auth.domain.ports import Accounts, KeyHolders
from services.auth.entry.consumers import consumers
from services.auth.settings import AuthSettings
from services.auth.store.postgres import PostgresAccounts, PostgresKeyHolders
from services.auth.usecases import UseCases
from services.auth.usecases.add_user import AddUser
from services.auth.usecases.create_organization import CreateOrganization
from services.auth.usecases.create_role import CreateRole
from services.auth.usecases.issue_key import IssueKey
from services.auth.usecases.project_subscription import ProjectSubscription
from services.auth.usecases.remove_role import RemoveRole
from services.auth.usecases.rename_organization import RenameOrganization
from services.auth.usecases.replace_role import ReplaceRole
from services.auth.usecases.resolve_key import ResolveKey
from services.auth.usecases.revoke_key import RevokeKey
from services.auth.usecases.rotate_key import RotateKey
from services.auth.usecases.set_organization_state import SetOrganizationState
from services.auth.usecases.update_key import UpdateKey
from services.auth.usecases.update_role import UpdateRole

SERVICE = "auth"


async def build(process: Process) -> None:
    """Wire the service into `process`."""
    settings = load(AuthSettings, service=SERVICE)
    peppers = settings.pepper_ring()
    db = await process.closing(await Database.connect(settings.postgres_dsn.reveal(), schema=SERVICE, name=SERVICE))
    bus = await process.closing(
        await Bus.connect(settings.amqp_url.reveal(), service=SERVICE, reply=settings.bus_reply)
    )
    outbox = Outbox()
    relay = Relay(db, bus.publisher, outbox)
    accounts, clock = PostgresAccounts(db, outbox), SystemClock()
    do = use_cases(accounts, PostgresKeyHolders(db), peppers, clock)

    async def schema() -> None:
        if not await schema_is_current(db, SERVICE):
            raise Unavailable(detail="migrations are missing: python -m libs.common.db.migrate")

    async def drain_bus() -> None:
        await bus.drain(settings.drain_seconds)

    async def drain_outbox() -> None:
        await relay.flush()

    process.ready_when("postgres", db.ping)
    process.ready_when("schema", schema)
    process.ready_when("bus", bus.check)
    process.start("bus", bus.run())
    process.start("relay", relay.run())
    await bus.start(consumers(do, accounts, clock))
    process.on_drain("bus", drain_bus)
    # After the handlers ended: what they wrote leaves with them.
    process.on_drain("outbox", drain_outbox)


def use_cases(accounts: Accounts, holders: KeyHolders, peppers: PepperRing, clock: Clock) -> UseCases:
    """Every use case on these ports."""
    return UseCases(
        add_user=AddUser(accounts),
        create_organization=CreateOrganization(accounts),
        create_role=CreateRole(accounts, clock),
        issue_key=IssueKey(accounts, peppers, clock),
        project_subscription=ProjectSubscription(accounts),
        remove_role=RemoveRole(accounts, clock),
        rename_organization=RenameOrganization(accounts),
        replace_role=ReplaceRole(accounts, clock),
        resolve_key=ResolveKey(holders, peppers.active, clock),
        revoke_key=RevokeKey(accounts, clock),
        rotate_key=RotateKey(accounts, peppers, clock),
        set_organization_state=SetOrganizationState(accounts),
        update_key=UpdateKey(accounts, clock),
        update_role=UpdateRole(accounts),
    )
