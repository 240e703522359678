"""`python -m services.edge.entry.openapi FOLDER`: write the document of every surface into it, as `<surface>.json`."""

import sys
from pathlib import Path

from services.edge.entry.openapi.document import printed
from services.edge.entry.surfaces import SURFACES

for surface in SURFACES:
    (Path(sys.argv[1]) / f"{surface.name}.json").write_text(printed(surface), encoding="utf-8")
