"""Notices as files, for the eyes of an operator: what mode `dry_run` would have sent. Nothing is ever connected to."""

import asyncio
from pathlib import Path

from services.takedowns.domain.notice_mail import Envelope


class MailFolder:
    """Writes `<name>.eml` into one directory; the same name again replaces the file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def keep(self, name: str, envelope: Envelope) -> None:
        """Write the mail whole or not at all."""
        await asyncio.to_thread(self._write, name, envelope.raw)

    def _write(self, name: str, raw: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self._folder / f".{name}.part"
        part.write_bytes(raw)
        part.chmod(0o600)
        part.replace(self._folder / f"{name}.eml")
