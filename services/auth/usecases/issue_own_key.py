"""Who is signed in makes a personal key (R134): the password is typed once more."""

from dataclasses import dataclass

from libs.common.contracts.auth import Actor
from libs.common.contracts.sign_in import IssueOwnKey as Wanted
from services.auth.domain.app_ports import Passwords, SealedPasswords, SignIns
from services.auth.domain.errors import PermissionDenied
from services.auth.usecases.issue_personal_key import IssuedPersonalKey, IssuePersonalKey, PersonalKeyOrder
from services.auth.usecases.session import ShowSession


@dataclass(frozen=True, slots=True)
class IssueOwnKey:
    """The first key as well as the next, which takes its place. Raises what IssuePersonalKey raises, and PermissionDenied for a
    session that ended or a wrong password.
    """

    sign_ins: SignIns
    sessions: ShowSession
    passwords: Passwords
    sealed: SealedPasswords
    issue: IssuePersonalKey

    async def __call__(self, wanted: Wanted) -> IssuedPersonalKey:
        password = self.sealed.password(wanted.sealed, bound_to=bytes.fromhex(wanted.session[0].digest))
        signed_in = await self.sessions(wanted.session)
        if signed_in is None:
            raise PermissionDenied("You are not signed in any more")
        user = signed_in.user
        login = await self.sign_ins.login(user.email)
        if not await self.passwords.is_right(None if login is None else login.digest, password):
            raise PermissionDenied("The password is not right")
        return await self.issue(
            PersonalKeyOrder(
                org_id=user.org_id,
                user_id=user.user_id,
                label=wanted.label,
                scopes=frozenset(wanted.scopes),
                model_id=wanted.model_id,
                by=Actor(user_id=user.user_id, address=wanted.address),
            )
        )
