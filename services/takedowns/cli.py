"""The operator's command line: `python -m services.takedowns csam list|show|close`, the queue of what the authorities must be told.

Each call prints one JSON object on standard output. What is refused is one line on standard error and exit status 2. Only `show` prints
URLs: whoever asks for them is about to make the report, and looks at none of them.
"""

import argparse
import asyncio
import sys
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from libs.common.clock import SystemClock
from libs.common.db.pool import Database
from libs.common.errors import FangateError
from libs.common.settings import SettingsError, load
from libs.common.telemetry.log import configure_logging
from services.takedowns.app import SERVICE
from services.takedowns.domain.csam_ports import CsamReport
from services.takedowns.settings import TakedownsSettings
from services.takedowns.store.csam_reports import PostgresCsamReports
from services.takedowns.usecases.report_csam import CsamQueue

EXIT_REFUSED: Final = 2
WHERE: Final = {
    "United States": "https://report.cybertip.org (NCMEC)",
    "United Kingdom": "https://report.iwf.org.uk (IWF)",
    "elsewhere": "https://www.inhope.org (the hotline of the country)",
}

Answer: TypeAlias = dict[str, Any]
Command: TypeAlias = Callable[[CsamQueue, argparse.Namespace], Awaitable[Answer]]


def main(argv: Sequence[str]) -> int:
    """Run one command; answers the exit status."""
    arguments = _parser().parse_args(argv)
    configure_logging(SERVICE, level="warning", stream=sys.stderr.buffer)
    try:
        answer = asyncio.run(_run(load(TakedownsSettings, service=SERVICE), arguments))
    except (SettingsError, FangateError, OSError) as exc:
        print(" ".join(str(exc).split()), file=sys.stderr)
        return EXIT_REFUSED
    print(msgspec.json.encode(answer).decode())
    return 0


async def _run(settings: TakedownsSettings, arguments: argparse.Namespace) -> Answer:
    dsn = settings.postgres_dsn.reveal()
    db = await Database.connect(dsn, schema=SERVICE, name=f"{SERVICE}-cli", size_max=2)
    try:
        command: Command = arguments.command
        return await command(CsamQueue(PostgresCsamReports(db), SystemClock()), arguments)
    finally:
        await db.close()


async def _list(queue: CsamQueue, _arguments: argparse.Namespace) -> Answer:
    return {"reports": [_shown(report) for report in await queue.waiting()]}


async def _show(queue: CsamQueue, arguments: argparse.Namespace) -> Answer:
    report = await queue.show(arguments.report_id)
    return {**_shown(report), "urls": report.urls, "where": WHERE if report.urls is not None else None}


async def _close(queue: CsamQueue, arguments: argparse.Namespace) -> Answer:
    said = {"by": arguments.by, "authority": arguments.authority, "reference": arguments.reference}
    return _shown(await queue.close(arguments.report_id, **said))


def _shown(report: CsamReport) -> Answer:
    facts = msgspec.structs.asdict(report)
    del facts["urls"]
    return facts


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.takedowns", description=(__doc__ or "").partition("\n")[0]
    )
    csam = parser.add_subparsers(required=True, metavar="csam").add_parser("csam", help="reports for the authorities")
    commands = csam.add_subparsers(required=True, metavar="command")
    commands.add_parser("list", help="what waits, oldest first").set_defaults(command=_list)
    show = commands.add_parser("show", help="one, with its URLs, and where to report them")
    show.add_argument("report_id", type=uuid.UUID)
    show.set_defaults(command=_show)
    close = commands.add_parser("close", help="the authorities were told; the URLs are forgotten")
    close.add_argument("report_id", type=uuid.UUID)
    for name, what in (("authority", "who was told"), ("reference", "its number of the report"), ("by", "who told it")):
        close.add_argument(f"--{name}", required=True, help=what)
    close.set_defaults(command=_close)
    return parser
