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
from services.auth.domain.app_ports import (
    AppAccounts,
    AppsRead,
    DomainProofs,
    Passwords,
    SealedPasswords,
    SignIns,
    Tokens,
)
from services.auth.domain.ports import Accounts, CallRecords, KeyHolders
from services.auth.domain.webhook_ports import Receivers
from services.auth.entry.apps import AppDesk
from services.auth.entry.consumers import consumers
from services.auth.entry.deliveries import DeliveryLoop
from services.auth.entry.sign_in import SignInDesk
from services.auth.entry.timers import timers
from services.auth.entry.webhooks import WebhookDesk
from services.auth.gateways.argon2 import Argon2Passwords
from services.auth.gateways.domains import NetworkDomainProofs
from services.auth.gateways.receivers import WEBHOOKS_AGENT, GuardedReceivers
from services.auth.gateways.sealed import OpenedForms
from services.auth.settings import AuthSettings
from services.auth.store.apps import PostgresApps, PostgresTokens
from services.auth.store.calls import PostgresCallRecords
from services.auth.store.deliveries import PostgresDeliveries
from services.auth.store.postgres import PostgresAccounts, PostgresKeyHolders
from services.auth.store.retention import forget_old
from services.auth.store.sign_in import PostgresSignIns
from services.auth.store.webhooks import PostgresAnnouncements, PostgresEndpoints, SealedSecrets
from services.auth.usecases import AppUseCases, UseCases
from services.auth.usecases.accept_invitation import AcceptInvitation
from services.auth.usecases.add_user import AddUser
from services.auth.usecases.announce_event import AnnounceEvent
from services.auth.usecases.authorize_app import AuthorizeApp, RevokeGrant
from services.auth.usecases.client import AuthenticateClient
from services.auth.usecases.create_app import CreateApp, RotateAppSecret
from services.auth.usecases.create_organization import CreateOrganization
from services.auth.usecases.create_role import CreateRole
from services.auth.usecases.create_webhook import CreateWebhook, Places
from services.auth.usecases.delete_webhook import DeleteWebhook
from services.auth.usecases.deliver_webhooks import DeliverWebhooks
from services.auth.usecases.end_app import EndApp, EndDeadGrants, OutdateGrantors
from services.auth.usecases.forget_sign_ins import ForgetSignIns
from services.auth.usecases.give_tokens import GiveTokens
from services.auth.usecases.invite_user import InviteUser
from services.auth.usecases.issue_key import IssueKey
from services.auth.usecases.issue_own_key import IssueOwnKey
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
from services.auth.usecases.session import ShowSession, SignIn, SignOut
from services.auth.usecases.set_features import SetFeatures
from services.auth.usecases.set_organization_state import SetOrganizationState
from services.auth.usecases.set_password import JoinWithPassword, LinkPassword, SetPassword
from services.auth.usecases.show_token import EndTokens, IntrospectTokens
from services.auth.usecases.update_app import UpdateApp
from services.auth.usecases.update_key import UpdateKey
from services.auth.usecases.update_role import UpdateRole
from services.auth.usecases.update_user import UpdateUser
from services.auth.usecases.update_webhook import UpdateWebhook
from services.auth.usecases.verify_domain import VerifyDomain
from services.auth.usecases.webhook_cases import WebhookCases

SERVICE = "auth"
PROOF_AGENT = "fangate (proof of a domain)"
FETCHES_MAX = 10  # proofs that are looked for at once


async def build(process: Process) -> None:
    """Wire the service into `process`."""
    settings = load(AuthSettings, service=SERVICE)
    peppers, forms = settings.pepper_ring(), OpenedForms(settings.sealed_passwords())
    worker = await Worker.open(process, settings)
    accounts, clock = PostgresAccounts(worker.db, worker.outbox), SystemClock()
    records, apps, tokens = PostgresCallRecords(worker.db), PostgresApps(worker.db), PostgresTokens(worker.db)
    passwords, sign_ins = Argon2Passwords(), PostgresSignIns(worker.db)
    fetching = await process.closing(await GuardedClient.open(user_agent=PROOF_AGENT, connections_max=FETCHES_MAX))
    do = use_cases(accounts, PostgresKeyHolders(worker.db), records, peppers, clock)
    do_apps = app_use_cases(
        accounts, apps, tokens, sign_ins, passwords, forms, NetworkDomainProofs(fetching, settings.resolver()),
        do, peppers, clock,
    )  # fmt: skip
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

    sweeps = timers(
        forget_calls=do.record_calls.forget,
        forget_old=forget,
        end_dead_grants=do_apps.end_dead_grants,
        forget_sign_ins=do_apps.forget_sign_ins,
        webhooks=webhooks.deliver,
    )
    for timer in sweeps:
        process.start(timer.name, timer.run())
    process.start("webhooks", loop.run())
    process.on_drain("webhooks", loop.drain)
    desks = (AppDesk(do_apps, apps, clock), SignInDesk(do_apps, forms.keys), WebhookDesk(webhooks))
    await worker.serve(
        consumers(do, accounts, records, clock, webhooks, outdate_grantors=do_apps.outdate_grantors, desks=desks)
    )


def use_cases(
    accounts: Accounts, holders: KeyHolders, records: CallRecords, peppers: PepperRing, clock: Clock
) -> UseCases:
    """Every use case but those of apps and sign-in, on these ports."""
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


def app_use_cases(
    accounts: AppAccounts, apps: AppsRead, tokens: Tokens, sign_ins: SignIns, passwords: Passwords, sealed: SealedPasswords,
    proofs: DomainProofs, do: UseCases, peppers: PepperRing, clock: Clock,
) -> AppUseCases:  # fmt: skip
    """Every use case of apps and sign-in on these ports."""
    sessions, clients = ShowSession(sign_ins, clock), AuthenticateClient(apps, peppers.active, clock)
    return AppUseCases(
        authorize_app=AuthorizeApp(accounts, apps, sessions, clock),
        create_app=CreateApp(accounts, peppers, clock),
        end_app=EndApp(accounts, apps, clock),
        end_dead_grants=EndDeadGrants(accounts, apps, clock),
        end_tokens=EndTokens(accounts, tokens, clients, clock),
        forget_sign_ins=ForgetSignIns(tokens, sign_ins, clock),
        give_tokens=GiveTokens(accounts, tokens, clients, clock),
        introspect_tokens=IntrospectTokens(tokens, clients, clock),
        issue_own_key=IssueOwnKey(sign_ins, sessions, passwords, sealed, do.issue_personal_key),
        join_with_password=JoinWithPassword(do.accept_invitation, passwords, sealed),
        link_password=LinkPassword(accounts, clock),
        outdate_grantors=OutdateGrantors(accounts, apps),
        revoke_grant=RevokeGrant(accounts, clock),
        rotate_app_secret=RotateAppSecret(accounts, peppers, clock),
        set_password=SetPassword(accounts, sign_ins, passwords, sealed, clock),
        show_session=sessions,
        sign_in=SignIn(accounts, sign_ins, passwords, sealed, clock),
        sign_out=SignOut(accounts, sign_ins, clock),
        update_app=UpdateApp(accounts),
        verify_domain=VerifyDomain(accounts, proofs, clock),
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
