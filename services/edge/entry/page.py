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
input { box-sizing: border-box; width: 100%; font: inherit; padding: .6rem .7rem; border: 1px solid GrayText; border-radius: .5rem;
  background: Field; color: FieldText; }
button { margin-top: 1.5rem; width: 100%; font: inherit; font-weight: 600; padding: .7rem; border: 0; border-radius: .5rem;
  background: #1f4fd8; color: #fff; cursor: pointer; }
input:focus-visible, button:focus-visible { outline: 3px solid #7aa2ff; outline-offset: 2px; }
.problem { border-left: 4px solid #c62828; padding: .5rem .8rem; background: color-mix(in srgb, #c62828 12%, Canvas); }
.done { border-left: 4px solid #2e7d32; padding: .5rem .8rem; background: color-mix(in srgb, #2e7d32 12%, Canvas); }
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


def message_page(title: str, text: str) -> bytes:
    """A page that says one thing."""
    return a_page(escape(title), f'<p class="problem" role="alert">{escape(text)}</p>')


def a_page(title: str, body: str, *, head: str = "") -> bytes:
    """A page with this title, which is escaped already, and this body."""
    return _PAGE.format(title=title, body=body, head=head, style=STYLE_PATH).encode()
