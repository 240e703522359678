"""The composition root of auth: every object is built here, once, in order."""

import asyncio
import random

from libs.common.clock import Clock, SystemClock
from libs.common.db.outbox import Outbox
from libs.common.db.pool import Database
from libs.common.http.guarded import GuardedClient
from libs.common.peppers import PepperRing
from libs.common.process import Process
from libs.common.settings import load
from libs.common.vault import Vault
from libs.common.worker import Worker
from services.auth.domain.ports import Accounts, CallRecords, KeyHolders
from services.auth.domain.webhook_ports import Receivers
from services.auth.entry.consumers import consumers
from services.auth.entry.deliveries import DeliveryLoop
from services.auth.entry.timers import timers
from services.auth.gateways.receivers import WEBHOOKS_AGENT, GuardedReceivers
from services.auth.settings import AuthSettings
from services.auth.store.calls import PostgresCallRecords
from services.auth.store.deliveries import PostgresDeliveries
from services.auth.store.postgres import PostgresAccounts, PostgresKeyHolders
from services.auth.store.retention import forget_old
from services.auth.store.webhooks import PostgresAnnouncements, PostgresEndpoints, SealedSecrets
from services.auth.usecases import UseCases
from services.auth.usecases.accept_invitation import AcceptInvitation
from services.auth.usecases.add_user import AddUser
from services.auth.usecases.announce_event import AnnounceEvent
from services.auth.usecases.create_organization import CreateOrganization
from services.auth.usecases.create_role import CreateRole
from services.auth.usecases.create_webhook import CreateWebhook, Places
from services.auth.usecases.delete_webhook import DeleteWebhook
from services.auth.usecases.deliver_webhooks import DeliverWebhooks
from services.auth.usecases.invite_user import InviteUser
from services.auth.usecases.issue_key import IssueKey
from services.auth.usecases.issue_personal_key import IssuePersonalKey
from services.auth.usecases.log_deed import LogDeed
from services.auth.usecases.make_announcement import MakeAnnouncement
from services.auth.usecases.project_subscription import ProjectSubscription
from services.auth.usecases.record_calls import RecordCalls
from services.auth.usecases.remove_role import RemoveRole
from services.auth.usecases.remove_user import RemoveUser
from services.auth.usecases.rename_organization import RenameOrganization
from services.auth.usecases.replace_role import ReplaceRole
from services.auth.usecases.resolve_key import ResolveKey
from services.auth.usecases.revoke_key import RevokeKey
from services.auth.usecases.rotate_key import RotateKey
from services.auth.usecases.rotate_webhook_secret import RotateWebhookSecret
from services.auth.usecases.send_again import ReplayDelivery, SendTest
from services.auth.usecases.set_features import SetFeatures
from services.auth.usecases.set_organization_state import SetOrganizationState
from services.auth.usecases.update_key import UpdateKey
from services.auth.usecases.update_role import UpdateRole
from services.auth.usecases.update_user import UpdateUser
from services.auth.usecases.update_webhook import UpdateWebhook
from services.auth.usecases.webhook_cases import WebhookCases

SERVICE = "auth"


async def build(process: Process) -> None:
    """Wire the service into `process`."""
    settings = load(AuthSettings, service=SERVICE)
    peppers = settings.pepper_ring()
    worker = await Worker.open(process, settings)
    accounts, clock = PostgresAccounts(worker.db, worker.outbox), SystemClock()
    records = PostgresCallRecords(worker.db)
    do = use_cases(accounts, PostgresKeyHolders(worker.db), records, peppers, clock)
    local = settings.local_receivers()
    http = await process.closing(await GuardedClient.open(user_agent=WEBHOOKS_AGENT, allowed=local))
    wake = asyncio.Event()
    webhooks = webhook_cases(
        worker.db, worker.outbox, accounts, settings.webhook_vault(), GuardedReceivers(http, local=local), clock,
        wake=wake, is_strict=settings.is_strict,
    )  # fmt: skip
    loop = DeliveryLoop(webhooks.deliver, wake)

    async def forget() -> int:
        return await forget_old(worker.db, clock.now())

    for timer in timers(forget_calls=do.record_calls.forget, forget_old=forget, webhooks=webhooks.deliver):
        process.start(timer.name, timer.run())
    process.start("webhooks", loop.run())
    process.on_drain("webhooks", loop.drain)
    await worker.serve(consumers(do, accounts, records, clock, webhooks))


def use_cases(
    accounts: Accounts, holders: KeyHolders, records: CallRecords, peppers: PepperRing, clock: Clock
) -> UseCases:
    """Every use case on these ports."""
    return UseCases(
        accept_invitation=AcceptInvitation(accounts, clock),
        add_user=AddUser(accounts),
        create_organization=CreateOrganization(accounts),
        create_role=CreateRole(accounts, clock),
        invite_user=InviteUser(accounts, clock),
        issue_key=IssueKey(accounts, peppers, clock),
        issue_personal_key=IssuePersonalKey(accounts, peppers, clock),
        log_deed=LogDeed(accounts),
        project_subscription=ProjectSubscription(accounts),
        record_calls=RecordCalls(records, clock),
        remove_role=RemoveRole(accounts, clock),
        remove_user=RemoveUser(accounts, clock),
        rename_organization=RenameOrganization(accounts),
        replace_role=ReplaceRole(accounts, clock),
        resolve_key=ResolveKey(holders, peppers.active, clock),
        revoke_key=RevokeKey(accounts, clock),
        rotate_key=RotateKey(accounts, peppers, clock),
        set_features=SetFeatures(accounts),
        set_organization_state=SetOrganizationState(accounts),
        update_key=UpdateKey(accounts, clock),
        update_role=UpdateRole(accounts),
        update_user=UpdateUser(accounts, clock),
    )


def webhook_cases(
    db: Database,
    outbox: Outbox,
    accounts: PostgresAccounts,
    vault: Vault,
    receivers: Receivers,
    clock: Clock,
    *,
    wake: asyncio.Event,
    is_strict: bool,
) -> WebhookCases:
    """Every use case about webhooks, on Postgres and these receivers."""
    sealed = SealedSecrets(vault)
    endpoints = PostgresEndpoints(db, accounts, sealed, clock)
    deliveries = PostgresDeliveries(db, accounts, sealed, clock, wake)
    announcements = PostgresAnnouncements(db, outbox)
    places = Places(receivers, is_strict=is_strict)
    return WebhookCases(
        announce_event=AnnounceEvent(deliveries),
        create=CreateWebhook(endpoints, places, clock),
        update=UpdateWebhook(endpoints, places, clock, wake.set),
        delete=DeleteWebhook(endpoints),
        rotate_secret=RotateWebhookSecret(endpoints, clock),
        send_test=SendTest(endpoints, wake.set),
        replay=ReplayDelivery(endpoints, wake.set),
        deliver=DeliverWebhooks(deliveries, receivers, clock, lambda: random.uniform(-1, 1)),  # noqa: S311 - spreads load
        make_announcement=MakeAnnouncement(announcements, clock),
        endpoints=endpoints,
        deliveries=deliveries,
        announcements=announcements,
    )
