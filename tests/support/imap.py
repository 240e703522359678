"""An IMAP server for tests, on real sockets: the few commands of IMAP4rev1 that are used."""

import asyncio
import re


class ImapServer:
    """For `talking`. It lists the newest mail first, as it may (RFC 3501 §7.2.5); commands with `refused` in them are answered NO."""

    def __init__(self, mails: dict[int, bytes], *, refused: str = "") -> None:
        self.mails = mails
        self.refused = refused
        self.seen: set[int] = set()
        self.commands: list[str] = []
        self.is_away = False

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_away:
            return
        writer.write(b"* OK ready\r\n")
        while line := (await reader.readline()).decode().strip():
            tag, _, command = line.partition(" ")
            self.commands.append(command)
            if self.is_refused(command):
                writer.write(f"{tag} NO wrong password right?\r\n".encode())
                continue
            for reply in self.answer(command):
                writer.write(reply + b"\r\n")
            writer.write(f"{tag} OK done\r\n".encode())
            if command == "LOGOUT":
                break

    def is_refused(self, command: str) -> bool:
        is_stranger = command.startswith("LOGIN") and "right" not in command
        return is_stranger or bool(self.refused and self.refused in command)

    def answer(self, command: str) -> list[bytes]:
        if command == "CAPABILITY":
            return [b"* CAPABILITY IMAP4rev1"]
        if command.startswith("SELECT"):
            return [b"* %d EXISTS" % len(self.mails)]
        if command == "UID SEARCH UNSEEN":
            unseen = [uid for uid in self.mails if uid not in self.seen]
            return [b"* SEARCH " + b" ".join(b"%d" % uid for uid in sorted(unseen, reverse=True))]
        if fetch := re.match(r"UID FETCH (\d+) \(UID BODY\.PEEK\[\]<0\.(\d+)>\)", command):
            uid, most = int(fetch[1]), int(fetch[2])
            raw = self.mails[uid][:most]
            return [b"* 1 FETCH (UID %d BODY[]<0> {%d}\r\n" % (uid, len(raw)) + raw + b")"]
        if store := re.match(r"UID STORE (\d+) \+FLAGS\.SILENT \(\\Seen\)", command):
            self.seen.add(int(store[1]))
        return [b"* BYE"] if command == "LOGOUT" else []
