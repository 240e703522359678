"""The commands behind the pages of people: passwords, sessions, and the key that who is signed in makes."""

from libs.common.bus import Consumer
from libs.common.contracts import auth, sign_in
from libs.common.contracts.envelope import Context
from libs.common.sealing import FormKeys
from services.auth.domain.sign_in import PasswordLinkView, SignedIn
from services.auth.entry.management import shown_invitation
from services.auth.entry.shown_once import shown_once
from services.auth.usecases import AppUseCases


class SignInDesk:
    """One method a command."""

    def __init__(self, do: AppUseCases, keys: FormKeys) -> None:
        self._do = do
        self._keys = keys

    def serving(self, consumer: Consumer) -> Consumer:
        """`consumer` with a handler for each command."""
        return (
            consumer.on(sign_in.GetPasswordKey, self.get_key)
            .on(sign_in.SignIn, self.begin)
            .on(sign_in.GetSession, self.get_session)
            .on(sign_in.SignOut, self.sign_out)
            .on(auth.AcceptInvitation, self.join)
            .on(sign_in.GetPasswordLink, self.get_link)
            .on(sign_in.SetPassword, self.set_password)
            .on(sign_in.IssueOwnKey, self.issue_key)
        )

    async def get_key(self, _message: sign_in.GetPasswordKey, _context: Context) -> sign_in.PasswordKey:
        return sign_in.PasswordKey(name=self._keys.active, public=self._keys.public)

    async def begin(self, message: sign_in.SignIn, _context: Context) -> sign_in.SessionAnswer:
        found = await self._do.sign_in(
            email=message.email, sealed=message.sealed, session=message.session, address=message.address
        )
        return _shown(found)

    async def get_session(self, message: sign_in.GetSession, _context: Context) -> sign_in.SessionAnswer:
        return _shown(await self._do.show_session(message.digests))

    async def sign_out(self, message: sign_in.SignOut, _context: Context) -> sign_in.SignedOut:
        await self._do.sign_out(message.digests, is_everywhere=message.is_everywhere)
        return sign_in.SignedOut()

    async def join(self, message: auth.AcceptInvitation, _context: Context) -> auth.InvitationShown:
        return shown_invitation(
            await self._do.join_with_password(message.link, message.sealed, address=message.address)
        )

    async def get_link(self, message: sign_in.GetPasswordLink, _context: Context) -> sign_in.PasswordLinkShown:
        return _shown_link(await self._do.set_password.show(message.link))

    async def set_password(self, message: sign_in.SetPassword, _context: Context) -> sign_in.PasswordLinkShown:
        return _shown_link(await self._do.set_password.by_link(message.link, message.sealed, address=message.address))

    async def issue_key(self, message: sign_in.IssueOwnKey, _context: Context) -> sign_in.OwnKeyIssued:
        issued = await self._do.issue_own_key(message)
        key = issued.key
        told = shown_once(issued.text, message.reply_key, bound_to=key.key_id)
        return sign_in.OwnKeyIssued(
            av=issued.av, org_id=key.org_id, key_id=key.key_id, text=told.text, sealed=told.sealed
        )


def _shown(found: SignedIn | None) -> sign_in.SessionAnswer:
    if found is None:
        return sign_in.SessionAnswer()
    session, organization = found.session, found.organization
    return sign_in.SessionAnswer(
        session=sign_in.SessionShown(
            session_id=session.session_id,
            org_id=session.org_id,
            user_id=session.user_id,
            email=found.user.email,
            role=found.role_name,
            organization=organization.name,
            is_sandbox=organization.is_sandbox,
            features=organization.features,
            expires_at=session.expires_at,
        )
    )


def _shown_link(view: PasswordLinkView) -> sign_in.PasswordLinkShown:
    return sign_in.PasswordLinkShown(organization=view.organization, email=view.email, expires_at=view.link.expires_at)
