"""The wall clocks of a system's services, each to be set apart from the others while they run (libfaketime).

Each service reads how far off it is from a file of its own. The servers keep the true time, and so do all monotonic clocks.
"""

import os
from pathlib import Path
from typing import Final

PLACES: Final = (
    Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"),
    Path("/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"),
)
FOLDER: Final = "FAULTS_CLOCKS"  # the environment variable that tells the launcher where the files are
NOTICED_SECONDS: Final = 1  # how long a process believes in what it read


def library() -> Path | None:
    """Where libfaketime is (Debian's package of that name), if it is."""
    return next((place for place in PLACES if place.exists()), None)


def settings(folder: Path, instance: str) -> dict[str, str]:
    """What makes a process's clock obey its file, which must be there when it starts."""
    found = library()
    if found is None:
        return {}
    return {
        "LD_PRELOAD": str(found), "FAKETIME_TIMESTAMP_FILE": str(folder / instance), "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1", "FAKETIME_CACHE_DURATION": str(NOTICED_SECONDS), "NO_FAKE_STAT": "1",
    }  # fmt: skip


def set_clock(folder: Path, instance: str, seconds: float) -> None:
    """From about now on the service is `seconds` ahead (behind, if negative)."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{instance}.new"
    fresh.write_text(f"{seconds:+g}\n", encoding="ascii")
    fresh.replace(folder / instance)


def folder_of_launcher() -> Path:
    """Where the launcher that runs in this process finds the files."""
    return Path(os.environ[FOLDER])
