"""How pages of links look: plain, without script, readable by a screen reader; every value that is not ours is escaped."""

from html import escape
from typing import Final

STYLE_PATH: Final = "/connect/style.css"

STYLE: Final = b"""\
:root { color-scheme: light dark; font: 17px/1.5 system-ui, sans-serif; }
body { margin: 0; background: Canvas; color: CanvasText; }
main { max-width: 26rem; margin: 12vh auto 3rem; padding: 0 1.25rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; }
label { display: block; margin: 1rem 0 .25rem; font-weight: 600; }
input, select { box-sizing: border-box; width: 100%; font: inherit; padding: .6rem .7rem; border: 1px solid GrayText; border-radius: .5rem;
  background: Field; color: FieldText; }
button { margin-top: 1.5rem; width: 100%; font: inherit; font-weight: 600; padding: .7rem; border: 0; border-radius: .5rem;
  background: #1f4fd8; color: #fff; cursor: pointer; }
input:focus-visible, select:focus-visible, button:focus-visible { outline: 3px solid #7aa2ff; outline-offset: 2px; }
.problem { border-left: 4px solid #c62828; padding: .5rem .8rem; background: color-mix(in srgb, #c62828 12%, Canvas); }
.done { border-left: 4px solid #2e7d32; padding: .5rem .8rem; background: color-mix(in srgb, #2e7d32 12%, Canvas); }
fieldset { border: 1px solid GrayText; border-radius: .5rem; margin: 1rem 0 0; padding: .5rem .8rem .8rem; }
legend { font-weight: 600; padding: 0 .3rem; }
fieldset label { font-weight: 400; margin: .35rem 0; display: flex; gap: .5rem; align-items: baseline; }
input[type=checkbox], input[type=radio] { width: auto; flex: none; }
button.plain { background: none; color: inherit; border: 1px solid GrayText; }
table { border-collapse: collapse; width: 100%; font-size: .85rem; }
th, td { text-align: left; padding: .25rem .5rem .25rem 0; border-bottom: 1px solid GrayText; overflow-wrap: anywhere; }
code { overflow-wrap: anywhere; }
.warning { border-left: 4px solid #b26a00; padding: .5rem .8rem; background: color-mix(in srgb, #b26a00 12%, Canvas); }
.note { color: GrayText; font-size: .88rem; margin-top: 1.5rem; }
"""

_PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">{head}
<title>{title}</title>
<link rel="stylesheet" href="{style}">
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""


def alert(text: str) -> str:
    """What went wrong just now; nothing for nothing."""
    return f'<p class="problem" role="alert">{escape(text)}</p>\n' if text else ""


def message_page(title: str, text: str) -> bytes:
    """A page that says one thing."""
    return a_page(escape(title), alert(text))


def a_page(title: str, body: str, *, head: str = "") -> bytes:
    """A page with this title, which is escaped already, and this body."""
    return _PAGE.format(title=title, body=body, head=head, style=STYLE_PATH).encode()
