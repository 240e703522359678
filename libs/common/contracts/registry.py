"""Every message type there is: its struct, kind, owner and who may send it. The truth about who says what to whom."""

from collections.abc import Iterator
from typing import Final

import msgspec

from libs.common.contracts import (
    apps,
    auth,
    billing,
    creators,
    edge,
    models,
    notices,
    personal_keys,
    sessions,
    sign_in,
    takedowns,
    webhooks,
)
from libs.common.contracts.envelope import Kind, Message


class MessageType(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the registry."""

    name: str  # `<service>.rpc.…`, `<service>.job.…` or `<service>.<thing>.<past tense>`, with the version last
    kind: Kind
    struct: type[Message]
    reply: type[Message] | None = None  # of an rpc
    owner: str  # the service whose contract it is
    senders: tuple[str, ...]
    sharded: bool = False  # money: the routing key carries the organization's shard, order is kept within it
    framed: bool = False  # up to 32 calls of one loop tick travel in one bus message (and so do their answers)
    body_bytes_max: int = 1 << 20


class Registry:
    """Look-up of message types by name and by struct; refuses a second entry for either."""

    def __init__(self, types: tuple[MessageType, ...]) -> None:
        self._by_name: dict[str, MessageType] = {}
        self._by_struct: dict[type[Message], MessageType] = {}
        for entry in types:
            if entry.name in self._by_name or entry.struct in self._by_struct:
                raise ValueError(f"registered twice: {entry.name} ({entry.struct.__name__})")
            self._by_name[entry.name] = entry
            self._by_struct[entry.struct] = entry

    def __iter__(self) -> Iterator[MessageType]:
        return iter(self._by_name.values())

    def by_name(self, name: str) -> MessageType | None:
        """The type called `name`, or None."""
        return self._by_name.get(name)

    def of(self, struct: type[Message]) -> MessageType:
        """The type whose body is `struct`; KeyError if it was never registered."""
        return self._by_struct[struct]


def _rpc(
    name: str, struct: type[Message], reply: type[Message], senders: str = "edge", *, framed: bool = False,
    body_bytes_max: int = 1 << 20,
) -> MessageType:  # fmt: skip
    return MessageType(
        name=name, kind=Kind.RPC, struct=struct, reply=reply, owner=name.split(".")[0], senders=tuple(senders.split()),
        framed=framed, body_bytes_max=body_bytes_max,
    )  # fmt: skip


def _job(name: str, struct: type[Message], senders: str) -> MessageType:
    return MessageType(
        name=name, kind=Kind.JOB, struct=struct, owner=name.split(".")[0], senders=tuple(senders.split())
    )


def _event(name: str, struct: type[Message], *, sharded: bool = False) -> MessageType:
    owner = name.split(".")[0]
    return MessageType(name=name, kind=Kind.EVENT, struct=struct, owner=owner, senders=(owner,), sharded=sharded)


REGISTRY: Final = Registry(
    (
        _rpc("auth.rpc.key.resolve.v1", auth.ResolveKey, auth.Principal),
        _rpc("auth.rpc.organization.get.v1", auth.GetOrganization, auth.Organization),
        _rpc("auth.rpc.organization.update.v1", auth.UpdateOrganization, auth.OrganizationUpdated),
        _rpc("auth.rpc.audit.list.v1", auth.ListAudit, auth.Audit),
        _rpc("auth.rpc.user.list.v1", auth.ListUsers, auth.Users),
        _rpc("auth.rpc.user.invite.v1", auth.InviteUser, auth.UserInvited),
        _rpc("auth.rpc.user.update.v1", auth.UpdateUser, auth.UserUpdated),
        _rpc("auth.rpc.user.remove.v1", auth.RemoveUser, auth.UserUpdated),
        _rpc("auth.rpc.invitation.get.v1", auth.GetInvitation, auth.InvitationShown),
        _rpc("auth.rpc.invitation.accept.v1", auth.AcceptInvitation, auth.InvitationShown),
        _rpc("auth.rpc.key.list.v1", auth.ListKeys, auth.Keys),
        _rpc("auth.rpc.key.get.v1", auth.GetKey, auth.FoundKey),
        _rpc("auth.rpc.key.create.v1", auth.CreateKey, auth.KeyCreated),
        _rpc("auth.rpc.key.update.v1", auth.UpdateKey, auth.KeyUpdated),
        _rpc("auth.rpc.key.rotate.v1", auth.RotateKey, auth.KeyRotated),
        _rpc("auth.rpc.key.revoke.v1", auth.RevokeKey, auth.KeyUpdated),
        _rpc("auth.rpc.personal_key.get.v1", personal_keys.GetPersonalKey, personal_keys.PersonalKeyFound),
        _rpc("auth.rpc.personal_key.issue.v1", personal_keys.IssuePersonalKey, personal_keys.PersonalKeyIssued),
        _rpc("auth.rpc.personal_key.revoke.v1", personal_keys.RevokePersonalKey, personal_keys.PersonalKeyRevoked),
        _rpc("auth.rpc.call.list.v1", personal_keys.ListCalls, personal_keys.CallsSeen),
        _rpc("auth.rpc.permission.list.v1", auth.ListPermissions, auth.Permissions),
        _rpc("auth.rpc.role.list.v1", auth.ListRoles, auth.Roles),
        _rpc("auth.rpc.role.create.v1", auth.CreateRole, auth.RoleCreated),
        _rpc("auth.rpc.role.replace.v1", auth.ReplaceRole, auth.RoleChanged),
        _rpc("auth.rpc.role.delete.v1", auth.DeleteRole, auth.RoleDeleted),
        _rpc("auth.rpc.password_key.get.v1", sign_in.GetPasswordKey, sign_in.PasswordKey),
        _rpc("auth.rpc.password.set.v1", sign_in.SetPassword, sign_in.PasswordLinkShown),
        _rpc("auth.rpc.password_link.get.v1", sign_in.GetPasswordLink, sign_in.PasswordLinkShown),
        _rpc("auth.rpc.session.begin.v1", sign_in.SignIn, sign_in.SessionAnswer),
        _rpc("auth.rpc.session.get.v1", sign_in.GetSession, sign_in.SessionAnswer),
        _rpc("auth.rpc.session.end.v1", sign_in.SignOut, sign_in.SignedOut),
        _rpc("auth.rpc.own_key.issue.v1", sign_in.IssueOwnKey, sign_in.OwnKeyIssued),
        _rpc("auth.rpc.app.list.v1", apps.ListApps, apps.Apps),
        _rpc("auth.rpc.app.get.v1", apps.GetApp, apps.AppFound),
        _rpc("auth.rpc.app.create.v1", apps.CreateApp, apps.AppCreated),
        _rpc("auth.rpc.app.update.v1", apps.UpdateApp, apps.AppUpdated),
        _rpc("auth.rpc.app.delete.v1", apps.DeleteApp, apps.AppUpdated),
        _rpc("auth.rpc.app_secret.rotate.v1", apps.RotateAppSecret, apps.AppCreated),
        _rpc("auth.rpc.app_domain.verify.v1", apps.VerifyDomain, apps.DomainAnswer),
        _rpc("auth.rpc.grant.list.v1", apps.ListGrants, apps.Grants),
        _rpc("auth.rpc.grant.revoke.v1", apps.RevokeGrant, apps.GrantRevoked),
        _rpc("auth.rpc.client.get.v1", apps.GetClient, apps.ClientAnswer),
        _rpc("auth.rpc.grant.authorize.v1", apps.Authorize, apps.Authorized),
        _rpc("auth.rpc.token.exchange.v1", apps.ExchangeCode, apps.TokenAnswer),
        _rpc("auth.rpc.token.refresh.v1", apps.RefreshTokens, apps.TokenAnswer),
        _rpc("auth.rpc.token.revoke.v1", apps.RevokeToken, apps.TokenAnswer),
        _rpc("auth.rpc.token.introspect.v1", apps.IntrospectToken, apps.TokenShown),
        _rpc("auth.rpc.webhook.list.v1", webhooks.ListWebhooks, webhooks.Webhooks),
        _rpc("auth.rpc.webhook.get.v1", webhooks.GetWebhook, webhooks.WebhookAnswer),
        _rpc("auth.rpc.webhook.create.v1", webhooks.CreateWebhook, webhooks.WebhookSecret),
        _rpc("auth.rpc.webhook.update.v1", webhooks.UpdateWebhook, webhooks.WebhookAnswer),
        _rpc("auth.rpc.webhook.delete.v1", webhooks.DeleteWebhook, webhooks.WebhookAnswer),
        _rpc("auth.rpc.webhook.rotate_secret.v1", webhooks.RotateWebhookSecret, webhooks.WebhookSecret),
        _rpc("auth.rpc.webhook.test.v1", webhooks.TestWebhook, webhooks.DeliveryAnswer),
        _rpc("auth.rpc.webhook.list_deliveries.v1", webhooks.ListDeliveries, webhooks.Deliveries),
        _rpc("auth.rpc.webhook.replay.v1", webhooks.ReplayDelivery, webhooks.DeliveryAnswer),
        _rpc("auth.rpc.announcement.list.v1", webhooks.ListAnnouncements, webhooks.Announcements),
        _event("auth.webhook.disabled.v1", webhooks.WebhookDisabled),
        _event("auth.announcement.made.v1", webhooks.AnnouncementMade),
        _event("auth.org.changed.v1", auth.OrganizationChanged),
        _event("auth.key.revoked.v1", auth.KeyRevoked),
        _rpc("billing.rpc.lease.open.v1", billing.OpenLease, billing.LeaseOpened, "edge takedowns"),
        _rpc("billing.rpc.balance.get.v1", billing.GetBalance, billing.Balance, "edge takedowns"),
        _rpc("billing.rpc.transactions.list.v1", billing.ListTransactions, billing.Transactions),
        _rpc("billing.rpc.plans.list.v1", billing.ListPlans, billing.Plans),
        _rpc("billing.rpc.subscription.get.v1", billing.GetSubscription, billing.Subscription),
        _rpc("billing.rpc.subscription.update.v1", billing.UpdateSubscription, billing.Subscription),
        _rpc("billing.rpc.ledger.list.v1", billing.ListLedger, billing.LedgerPage),
        _rpc("billing.rpc.ledger.export.v1", billing.ExportLedger, billing.LedgerExported),
        _rpc("billing.rpc.usage.get.v1", billing.GetUsage, billing.UsageReport),
        _job("billing.job.lease.close.v1", billing.CloseLease, "takedowns billing"),
        _event("billing.lease.expired.v1", billing.LeaseExpired, sharded=True),
        _event("billing.balance.changed.v1", billing.BalanceChanged),
        _event("billing.credits.low.v1", billing.CreditsLow),
        _event("billing.subscription.changed.v1", billing.SubscriptionChanged),
        _event("billing.subscription.managed.v1", billing.SubscriptionManaged),
        _event("edge.usage.recorded.v1", edge.UsageRecorded, sharded=True),
        _event("edge.usage.voided.v1", edge.UsageVoided, sharded=True),
        _event("edge.calls.counted.v1", edge.CallsCounted),
        _rpc("sessions.rpc.proxy.v1", sessions.Proxy, sessions.Proxied, framed=True, body_bytes_max=8 << 20),
        _rpc("sessions.rpc.model.create.v1", models.CreateModel, models.ModelAnswer),
        _rpc("sessions.rpc.model.list.v1", models.ListModels, models.ModelPage),
        _rpc("sessions.rpc.model.get.v1", models.GetModel, models.ModelShown),
        _rpc("sessions.rpc.model.update.v1", models.UpdateModel, models.ModelAnswer),
        _rpc("sessions.rpc.model.delete.v1", models.DeleteModel, models.ModelAnswer),
        _rpc("sessions.rpc.model.reconnect.v1", models.ReconnectModel, models.ModelAnswer),
        _rpc("sessions.rpc.model.disconnect.v1", models.DisconnectModel, models.ModelAnswer),
        _rpc("sessions.rpc.model.submit_code.v1", models.SubmitCode, models.ModelAnswer),
        _rpc("sessions.rpc.form_key.get.v1", models.GetFormKey, models.FormKey),
        _rpc("sessions.rpc.link.get.v1", models.GetLink, models.LinkShown),
        _rpc("sessions.rpc.link.use.v1", models.UseLink, models.LinkShown),
        _rpc("sessions.rpc.consent.start.v1", models.StartConsent, models.ConsentStarted),
        _rpc("sessions.rpc.consent.finish.v1", models.FinishConsent, models.LinkShown),
        _job("sessions.job.connect.v1", sessions.ConnectModel, "sessions"),
        _job("sessions.job.refresh.v1", sessions.RefreshModel, "sessions"),
        _event("sessions.model.connected.v1", sessions.ModelConnected),
        _event("sessions.model.awaiting_2fa.v1", sessions.ModelAwaitingCode),
        _event("sessions.model.connect_failed.v1", sessions.ModelConnectFailed),
        _event("sessions.model.sync_lost.v1", sessions.ModelSyncLost),
        _event("sessions.model.reconnected.v1", sessions.ModelReconnected),
        _event("sessions.model.disconnected.v1", sessions.ModelDisconnected),
        _event("sessions.model.deleted.v1", sessions.ModelDeleted),
        _event("sessions.model.managed.v1", sessions.ModelManaged),
        _rpc(
            "takedowns.rpc.creator.submit.v1",
            creators.SubmitCreators,
            creators.CreatorsSubmitted,
            body_bytes_max=8 << 20,
        ),
        _rpc("takedowns.rpc.creator.list.v1", creators.ListCreators, creators.CreatorPage),
        _rpc("takedowns.rpc.creator.get.v1", creators.GetCreator, creators.CreatorAnswer),
        _rpc("takedowns.rpc.creator.update.v1", creators.UpdateCreator, creators.CreatorAnswer, body_bytes_max=8 << 20),
        _rpc("takedowns.rpc.creator.delete.v1", creators.DeleteCreator, creators.CreatorDeletion),
        _rpc("takedowns.rpc.creator.get_stats.v1", creators.GetCreatorStats, creators.CreatorStatsAnswer),
        _rpc("takedowns.rpc.urls.submit.v1", takedowns.SubmitUrls, takedowns.UrlsSubmitted, body_bytes_max=8 << 20),
        _rpc("takedowns.rpc.csam.report.v1", takedowns.ReportCsam, takedowns.CsamReported),
        _rpc("takedowns.rpc.batch.list.v1", takedowns.ListBatches, takedowns.BatchPage),
        _rpc("takedowns.rpc.batch.get.v1", takedowns.GetBatch, takedowns.BatchAnswer),
        _rpc("takedowns.rpc.takedown.list.v1", notices.ListTakedowns, notices.TakedownPage, body_bytes_max=8 << 20),
        _rpc("takedowns.rpc.takedown.get.v1", notices.GetTakedown, notices.TakedownAnswer),
        _rpc("takedowns.rpc.takedown.get_summary.v1", notices.GetTakedownSummary, notices.TakedownSummary),
        _rpc("takedowns.rpc.takedown.recheck.v1", notices.RecheckTakedown, notices.TakedownChanged),
        _rpc("takedowns.rpc.takedown.cancel.v1", notices.CancelTakedown, notices.TakedownChanged),
        _rpc("takedowns.rpc.takedown.file.v1", notices.FileTakedown, notices.TakedownChanged),
        _rpc("takedowns.rpc.settings.get.v1", notices.GetTakedownSettings, notices.TakedownSettings),
        _rpc("takedowns.rpc.settings.update.v1", notices.UpdateTakedownSettings, notices.TakedownSettings),
        _rpc("takedowns.rpc.notice.get.v1", notices.GetNotice, notices.NoticeShown),
        _rpc("takedowns.rpc.host.get.v1", notices.GetHost, notices.HostShown),
        _rpc("takedowns.rpc.action.list.v1", notices.ListActions, notices.ActionPage, body_bytes_max=8 << 20),
        _job("takedowns.job.creator.forget.v1", takedowns.ForgetCreator, "takedowns"),
        _job("takedowns.job.host.resolve.v1", takedowns.ResolveHost, "takedowns"),
        _job("takedowns.job.notice.send.v1", takedowns.SendNotice, "takedowns"),
        _event("takedowns.batch.accepted.v1", takedowns.BatchAccepted),
        _event("takedowns.batch.debited.v1", takedowns.BatchDebited, sharded=True),
        _event("takedowns.batch.refunded.v1", takedowns.BatchRefunded, sharded=True),
        _event("takedowns.url.changed.v1", takedowns.UrlChanged),
        _event("takedowns.notice.sent.v1", takedowns.NoticeSent),
        _event("takedowns.notice.bounced.v1", takedowns.NoticeBounced),
        _event("takedowns.notice.countered.v1", takedowns.NoticeCountered),
        _event("takedowns.action.required.v1", takedowns.ActionRequired),
        _event("takedowns.creator.deleted.v1", takedowns.CreatorDeleted),
    )
)
