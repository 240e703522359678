"""A picture of a run without a plotting library: bars and words of a 5 x 7 font, as pixels, as a PNG."""

import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.load.sides import Cell
from tests.load.table import grouped, middle

Colour = tuple[int, int, int]

WIDTH: Final = 960
BAR_HEIGHT: Final = 13
MARGIN: Final = 16
LABELS_WIDTH: Final = 190
INK: Final[Colour] = (30, 30, 30)
PAPER: Final[Colour] = (255, 255, 255)
COLOURS: Final[dict[str, Colour]] = {"direct": (170, 170, 170), "proxy": (90, 140, 200), "fangate": (220, 100, 60)}
PANELS: Final[tuple[tuple[str, Callable[[Cell], float]], ...]] = (
    ("requests a second", lambda cell: cell.per_second),
    ("p50, ms", lambda cell: cell.outcome.p50_ms),
    ("p99, ms", lambda cell: cell.outcome.p99_ms),
    ("cpu s of 1000 requests", lambda cell: cell.cpu_ms_all),
)
# One character a glyph: five columns of seven bits, the lowest bit on top.
FONT: Final = {
    "0": "3e5149453e", "1": "00427f4000", "2": "4261514946", "3": "2141454b31", "4": "1814127f10", "5": "2745454539",
    "6": "3c4a494930", "7": "0171090503", "8": "3649494936", "9": "064949291e", ".": "0060600000", ",": "0050300000",
    "a": "2054545478", "b": "7f48444438", "c": "3844444420", "d": "384444487f", "e": "3854545418", "f": "087e090102",
    "g": "0c5252523e", "h": "7f08040478", "i": "00447d4000", "j": "2040443d00", "k": "7f10284400", "l": "00417f4000",
    "m": "7c04180478", "n": "7c08040478", "o": "3844444438", "p": "7c14141408", "q": "081414187c", "r": "7c08040408",
    "s": "4854545420", "t": "043f444020", "u": "3c4040207c", "v": "1c2040201c", "w": "3c4030403c", "x": "4428102844",
    "y": "0c5050503c", "z": "4464544c44",
}  # fmt: skip


class Canvas:
    """Pixels, and how to put rectangles and words on them."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._rows = [bytearray(bytes(PAPER) * width) for _ in range(height)]

    def box(self, left: int, top: int, width: int, height: int, colour: Colour) -> None:
        width = max(1, min(width, self.width - left))
        for row in self._rows[top : top + height]:
            row[3 * left : 3 * (left + width)] = bytes(colour) * width

    def text(self, left: int, top: int, words: str, *, scale: int = 1) -> None:
        for number, character in enumerate(words.lower()):
            for x, column in enumerate(bytes.fromhex(FONT.get(character, "0000000000"))):
                for y in range(7):
                    if column >> y & 1:
                        at = left + (6 * number + x) * scale
                        self.box(at, top + y * scale, scale, scale, INK)

    def png(self) -> bytes:
        """The picture, 8-bit RGB."""
        pixels = zlib.compress(b"".join(b"\0" + row for row in self._rows), 9)
        head = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def draw_bars(title: str, bars: Sequence[tuple[str, float]], path: Path) -> None:
    """One panel: a bar for each name, with its number."""
    canvas = Canvas(WIDTH, 2 * MARGIN + 24 + len(bars) * (BAR_HEIGHT + 3))
    canvas.text(MARGIN, MARGIN, title, scale=2)
    largest = max(value for _, value in bars) or 1.0
    for line, (name, value) in enumerate(bars):
        y = MARGIN + 24 + line * (BAR_HEIGHT + 3)
        canvas.text(MARGIN, y + 3, name)
        width = int(value / largest * (WIDTH - LABELS_WIDTH - 110))
        canvas.box(LABELS_WIDTH, y, width, BAR_HEIGHT, COLOURS["fangate"])
        canvas.text(LABELS_WIDTH + width + 8, y + 3, f"{value:,.1f}")
    path.write_bytes(canvas.png())


def draw(cells: Sequence[Cell], path: Path) -> None:
    """A panel per figure, a bar per load and side, with its number; medians of the rounds."""
    rounds = grouped(cells)
    height = MARGIN + 24 + len(rounds) * (BAR_HEIGHT + 3)
    canvas = Canvas(WIDTH, MARGIN + height * len(PANELS))
    for number, (title, figure) in enumerate(PANELS):
        top = MARGIN + number * height
        canvas.text(MARGIN, top, title, scale=2)
        figures = {key: middle(own, figure) for key, own in rounds.items()}
        largest = max(figures.values()) or 1.0
        for line, ((connections, side), value) in enumerate(sorted(figures.items(), key=lambda item: item[0][0])):
            y = top + 24 + line * (BAR_HEIGHT + 3)
            canvas.text(MARGIN, y + 3, f"{connections:3} conns {side}", scale=1)
            width = int(value / largest * (WIDTH - LABELS_WIDTH - 110))
            canvas.box(LABELS_WIDTH, y, width, BAR_HEIGHT, COLOURS.get(side, INK))
            canvas.text(LABELS_WIDTH + width + 8, y + 3, f"{value:,.0f}" if value >= 100 else f"{value:.3f}")
    path.write_bytes(canvas.png())
