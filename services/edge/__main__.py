"""`python -m services.edge`: one edge process."""

from libs.common.process import run
from services.edge.app import build

run("edge", build)
