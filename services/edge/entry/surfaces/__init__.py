"""All surfaces, one file each. The first one also answers for paths of none."""

from typing import Final

from services.edge.entry.surface import Surface
from services.edge.entry.surfaces.fanvue import Fanvue
from services.edge.entry.surfaces.gateway import Gateway
from services.edge.entry.surfaces.metric import Metric
from services.edge.entry.surfaces.platform import Platform

SURFACES: Final[tuple[Surface, ...]] = (Gateway(), Metric(), Platform(), Fanvue())
