"""What can go wrong between us and those we write to, and what callers are told about takedowns that are under way."""

from libs.common.errors import FangateError, Unavailable


class TakedownNotFound(FangateError):
    """Takedown not found."""

    code = "NOT_FOUND"
    status_hint = 404


class NoticeNotFound(FangateError):
    """Notice not found."""

    code = "NOT_FOUND"
    status_hint = 404


class HostNotFound(FangateError):
    """Nothing is known of this host."""

    code = "NOT_FOUND"
    status_hint = 404


class NotPossible(FangateError):
    """Not possible in the takedown's present state."""

    code = "CONFLICT"
    status_hint = 409


class MailboxAway(Unavailable):
    """The mailbox cannot be read: mails stay where they are."""


class RegistryTrouble(Exception):
    """A registry gives no answer now. `seconds`: how long it wants to be left alone, if it says so."""

    def __init__(self, detail: str, *, seconds: int = 0) -> None:
        self.seconds = seconds
        super().__init__(detail)


class _MailTrouble(Exception):
    def __init__(self, code: int, text: str) -> None:
        self.code = code
        super().__init__(f"{code} {text}")


class MailDeferred(_MailTrouble):
    """The relay certainly did not take the mail; it may later."""


class MailRefused(_MailTrouble):
    """The relay certainly did not take the mail, and never will."""


class MailUncertain(Exception):
    """The connection ended when the text may have been on its way: nobody knows whether the mail was taken."""


class DeskRefused(Exception):
    """An abuse desk's interface certainly did not take the report, and never will: a person fills its form in."""
