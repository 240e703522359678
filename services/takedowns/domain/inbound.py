"""What a mail that came back says: a bounce (RFC 3464), or one of the answers abuse desks give. Rules, not guesses: what no rule
knows goes to a person, and so does everything with legal effect.
"""

import enum
import re
from collections.abc import Iterable
from email.message import EmailMessage, Message
from typing import Any, Final

import msgspec

from services.takedowns.domain.page_text import text_of

TEXT_LENGTH_MAX: Final = 20_000
LINKS_MAX: Final = 20
RECIPIENT_HEADERS: Final = ("Delivered-To", "X-Original-To", "Envelope-To", "To", "Cc")


class Kind(enum.StrEnum):
    """What a mail is."""

    BOUNCE = "bounce"
    ACK = "ack"
    REMOVED = "removed"
    REFUSED = "refused"
    NEED_INFO = "need_info"
    USE_FORM = "use_form"
    COUNTER_NOTICE = "counter_notice"
    OTHER = "other"


class Bounce(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery report. `is_final`: this mail was not delivered; `is_hard`: no other will be, to this address."""

    is_final: bool
    is_hard: bool
    status: str  # `5.1.1`
    recipient: str = ""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A mail, understood as far as rules go."""

    kind: Kind
    bounce: Bounce | None = None
    ticket: str | None = None
    form_url: str | None = None


_S: Final = re.IGNORECASE | re.DOTALL
# Tried in this order: whatever might have legal effect first, an automatic answer last.
_RULES: Final = (
    (
        Kind.COUNTER_NOTICE,
        re.compile(
            r"counter[\s-]?noti(?:ce|fication)|gegendarstellung|contre-notification|contranotificaci"
            r"|512\s*\(g\)|consent\s+to\s+(?:the\s+)?jurisdiction",
            _S,
        ),
    ),
    (
        Kind.USE_FORM,
        re.compile(
            r"(?:only|please|must|kindly|exclusively)[^.]{0,80}(?:use|submit|via|through|using|fill)[^.]{0,80}(?:web\s?form|form\b|portal)"
            r"|(?:do|does)\s+not\s+(?:accept|process)[^.]{0,80}(?:e-?mail)"
            r"|(?:nur|bitte)[^.]{0,80}formular|(?:uniquement|veuillez)[^.]{0,80}formulaire|(?:solo|por favor)[^.]{0,80}formulario",
            _S,
        ),
    ),
    (
        Kind.REFUSED,
        re.compile(
            r"(?:we\s+(?:are|will)\s+(?:not|unable)|we\s+(?:cannot|can't|decline|refuse)|unable\s+to)[^.]{0,60}"
            r"(?:remov|act\b|process|comply|take\s+(?:any\s+)?action|assist|honou?r)"
            r"|not\s+(?:the\s+)?host(?:ed|ing)?\b[^.]{0,60}(?:by\s+us|provider|content|here)"
            r"|(?:is|are)\s+not\s+hosted|(?:does|do)\s+not\s+(?:constitute|infringe)|request\s+(?:has\s+been\s+|was\s+)?(?:denied|rejected|declined)",
            _S,
        ),
    ),
    (
        Kind.NEED_INFO,
        re.compile(
            r"(?:(?:need|require|provide|send|supply|missing|lacks?)\b[^.]{0,60}(?:additional|more|further|following|missing)"
            r"?[^.]{0,30}(?:information|details|proof|evidence|signature|authori[sz]ation|urls?|links?))"
            r"|incomplete\s+(?:notice|request|complaint)|weitere\s+(?:angaben|informationen)|informations?\s+compl[ée]mentaires",
            _S,
        ),
    ),
    (
        Kind.REMOVED,
        re.compile(
            r"(?:has|have|was|were|been|is|are|now)\b[^.]{0,40}(?:removed|deleted|taken\s+down|disabled|blocked|suspended|terminated)"
            r"|we\s+(?:removed|deleted|disabled|blocked|suspended)|access\s+to[^.]{0,60}disabled"
            r"|(?:wurde|wurden)[^.]{0,60}(?:entfernt|gel[öo]scht|gesperrt)|(?:a|ont)\s+été\s+(?:supprim|retir)"
            r"|ha(?:n)?\s+sido\s+(?:eliminad|retirad|borrad)",
            _S,
        ),
    ),
    (
        Kind.ACK,
        re.compile(
            r"(?:received|thank\s+you\s+for|acknowledge)[^.]{0,80}(?:your|this)?[^.]{0,40}"
            r"(?:e-?mail|message|notice|report|complaint|request|ticket|contacting)"
            r"|(?:ticket|case|reference|request)\s*(?:number|no\.?|id|#)|automat(?:ic|ed)\s+(?:reply|response|acknowledg)"
            r"|eingang|accus[ée]\s+de\s+r[ée]ception|hemos\s+recibido",
            _S,
        ),
    ),
)
_NEGATED_REMOVAL: Final = re.compile(
    r"(?:not|n't|never|unable|cannot)\b[^.]{0,30}(?:been\s+)?(?:remov|delet|taken\s+down|disabl|block|suspend)|(?:will|to|can)\s+be\s+(?:removed|deleted|disabled)"
    r"|(?:if|unless|until|once|before|when)\b[^.]{0,60}(?:removed|deleted|disabled|taken\s+down)",
    _S,
)
_TICKET: Final = re.compile(
    r"(?:ticket|case|reference|ref|request|report|incident|vorgang|dossier)\s*(?:number|no\.?|nr\.?|id)?\s*[:#]?\s*[\[(#]*\s*"
    r"([A-Z]{0,8}[-_#]?\d[A-Z0-9_-]{2,30})",
    re.IGNORECASE,
)
_OWN_NUMBER: Final = re.compile(r"TD-[0-9A-F]{12}")
_LINK: Final = re.compile(r"https?://[!#-&*-;=?-\\^-~]{4,2000}")
_FORM_WORDS: Final = re.compile(r"form|report|copyright|dmca|abuse|removal|takedown|complaint|contact", re.IGNORECASE)
_QUOTE: Final = re.compile(
    r"^\s*>|^-{2,}\s*(?:original message|ursprüngliche nachricht|forwarded)|^On .{5,200} wrote:\s*$", re.IGNORECASE
)


def judge(message: EmailMessage) -> Judged:
    """What the mail says. Never raises for what a stranger may have written."""
    bounce = bounce_of(message)
    if bounce is not None:
        return Judged(kind=Kind.BOUNCE, bounce=bounce)
    subject = _header(message, "Subject")
    text = own_text(message)
    both = f"{subject}\n{text}"
    kind = next((kind for kind, rule in _RULES if rule.search(both)), Kind.OTHER)
    if kind is Kind.REMOVED and _NEGATED_REMOVAL.search(both):
        kind = Kind.OTHER  # "will be removed if …" and its like are for a person
    if kind is Kind.OTHER and _header(message, "Auto-Submitted").lower().startswith("auto-replied"):
        kind = Kind.ACK
    form_url = _form_link(text) if kind is Kind.USE_FORM else None
    if kind is Kind.USE_FORM and form_url is None:
        kind = Kind.OTHER
    ticket = _TICKET.search(_OWN_NUMBER.sub("", both))
    return Judged(kind=kind, ticket=ticket[1] if ticket else None, form_url=form_url)


def recipients(message: EmailMessage) -> Iterable[str]:
    """Addresses the mail was sent to: one of them may be a token of ours."""
    for name in RECIPIENT_HEADERS:
        for value in message.get_all(name, []):
            yield from re.findall(r"[^\s<>,;:\"]+@[^\s<>,;:\"]+", str(value))


def bounce_of(message: EmailMessage) -> Bounce | None:
    """The delivery report in `message`, if it is one that tells of a failure (RFC 3464); the worst recipient counts."""
    if message.get_content_type() != "multipart/report":
        return None
    for part in message.walk():
        if part.get_content_type() == "message/delivery-status":
            blocks = part.get_payload()
            fields = [block for block in blocks if isinstance(block, Message)] if isinstance(blocks, list) else []
            found = [bounce for block in fields if (bounce := _recipient_block(block)) is not None]
            return max(found, default=None, key=lambda bounce: (bounce.is_final, bounce.is_hard))
    return None


def own_text(message: EmailMessage) -> str:
    """What the sender wrote, without what is quoted from us; of HTML mails the text."""
    part = message.get_body(preferencelist=("plain", "html"))
    if part is None:
        return ""
    text = _content(part)
    if part.get_content_type() == "text/html":
        text = text_of(text[: 4 * TEXT_LENGTH_MAX])
    lines = []
    for line in text[: 4 * TEXT_LENGTH_MAX].splitlines():
        if re.match(r"^\s*>", line):
            continue
        if _QUOTE.match(line):
            break  # below this line stands our own notice
        lines.append(line)
    return "\n".join(lines)[:TEXT_LENGTH_MAX]


def _recipient_block(block: Message) -> Bounce | None:
    action = str(block.get("Action", "")).strip().lower()
    status = str(block.get("Status", "")).strip()
    code = re.match(r"[245]\.\d{1,3}\.\d{1,3}", status)
    if action not in {"failed", "delayed"} or code is None:
        return None
    recipient = str(block.get("Final-Recipient", "")).rpartition(";")[2].strip().lower()
    is_hard = action == "failed" and status.startswith("5") and not status.startswith(("5.2.2", "5.7."))
    return Bounce(is_final=action == "failed", is_hard=is_hard, status=code[0], recipient=recipient)


def _content(part: Any) -> str:
    try:
        return str(part.get_content())
    except (LookupError, ValueError, AttributeError):  # a charset nobody knows, broken base64
        raw = part.get_payload(decode=True)
        return raw.decode("latin-1") if isinstance(raw, bytes) else ""


def _header(message: EmailMessage, name: str) -> str:
    return str(message.get(name, ""))[:1_000]


def _form_link(text: str) -> str | None:
    links = [link.rstrip(".,;:!?") for link in _LINK.findall(text)[:LINKS_MAX]]
    return next((link for link in links if _FORM_WORDS.search(link)), None)
