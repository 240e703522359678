"""A name server on loopback that knows the TXT records it was told, and no others."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


class TxtServer:
    """Answers over UDP; `address` is what `FANGATE_DNS_SERVERS` takes."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = "{}:{}".format(*self._socket.getsockname())
        self.records: dict[str, list[str]] = {}
        self._thread = threading.Thread(target=self._serve, name="name server", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._socket.close()
        self._thread.join(timeout=5)

    def _serve(self) -> None:
        while True:
            try:
                raw, peer = self._socket.recvfrom(4_096)
                if not raw:
                    return
                self._socket.sendto(self._answer(raw), peer)
            except OSError:
                return

    def _answer(self, raw: bytes) -> bytes:
        query = dns.message.from_wire(raw)
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA
        name = str(query.question[0].name)
        texts = self.records.get(name.rstrip(".").lower())
        if texts is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        else:
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", *(f'"{text}"' for text in texts)))
        return answer.to_wire()


@contextlib.contextmanager
def txt_server() -> Iterator[TxtServer]:
    """A running one."""
    server = TxtServer()
    server.start()
    try:
        yield server
    finally:
        server.close()
