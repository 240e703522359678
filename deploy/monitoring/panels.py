"""What a Grafana board is made of, as far as we use it: rows of equal panels, each with one or more expressions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

_WIDTH: Final = 24  # Grafana's grid
_HEIGHT: Final = 8
_SCHEMA: Final = 39  # of dashboards, as Grafana 10 and 11 write it
_SOURCE: Final = {"type": "prometheus", "uid": "${source}"}


@dataclass(frozen=True, slots=True)
class Line:
    """One expression; `legend` may use its labels."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A graph, or with `kind="stat"` the figure of this moment. `alarm_above` colours what lies above red."""

    title: str
    lines: tuple[Line, ...]
    unit: str = "short"
    kind: str = "timeseries"
    alarm_above: float | None = None
    help: str = ""

    def to_json(self, number: int, *, x: int, y: int, width: int) -> dict[str, Any]:
        """As Grafana reads it."""
        steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
        if self.alarm_above is not None:
            steps.append({"color": "red", "value": self.alarm_above})
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.help,
            "datasource": _SOURCE,
            "gridPos": {"x": x, "y": y, "w": width, "h": _HEIGHT},
            "fieldConfig": {
                "defaults": {
                    "unit": self.unit,
                    "min": 0,
                    "color": {"mode": "thresholds" if self.kind == "stat" else "palette-classic"},
                    "thresholds": {"mode": "absolute", "steps": steps},
                },
                "overrides": [],
            },
            "options": {},
            "targets": [
                {"refId": chr(ord("A") + index), "datasource": _SOURCE, "expr": line.expr, "legendFormat": line.legend}
                for index, line in enumerate(self.lines)
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A dashboard."""

    uid: str
    title: str
    rows: tuple[tuple[str, Sequence[Panel]], ...]

    @property
    def panels(self) -> list[Panel]:
        return [panel for _, panels in self.rows for panel in panels]

    def to_json(self) -> dict[str, Any]:
        """As Grafana reads it."""
        return {
            "uid": self.uid,
            "title": self.title,
            "tags": ["fangate"],
            "schemaVersion": _SCHEMA,
            "editable": False,
            "refresh": "30s",
            "time": {"from": "now-6h", "to": "now"},
            "timezone": "utc",
            "templating": {
                "list": [{"name": "source", "label": "Source", "type": "datasource", "query": "prometheus"}]
            },
            "panels": self._panels(),
        }

    def _panels(self) -> list[dict[str, Any]]:
        placed: list[dict[str, Any]] = []
        y = 0
        for title, panels in self.rows:
            head = {"x": 0, "y": y, "w": _WIDTH, "h": 1}
            placed.append(
                {
                    "id": len(placed) + 1,
                    "type": "row",
                    "title": title,
                    "gridPos": head,
                    "collapsed": False,
                    "panels": [],
                }
            )
            width = _WIDTH // len(panels)
            for index, panel in enumerate(panels):
                placed.append(panel.to_json(len(placed) + 1, x=index * width, y=y + 1, width=width))
            y += 1 + _HEIGHT
        return placed


def rate(metric: str, by: str, *, where: str = "", legend: str = "") -> Line:
    """Events per second of a counter, by a label."""
    selector = f"{metric}{{{where}}}" if where else metric
    return Line(f"sum by ({by}) (rate({selector}[$__rate_interval]))", legend or f"{{{{{by.split(',')[0]}}}}}")


def quantiles(histogram: str, *, by: str = "", shares: Sequence[float] = (0.5, 0.95, 0.99)) -> tuple[Line, ...]:
    """Quantiles of a histogram; with `by`, one line per value of that label and share."""
    labels = f"le, {by}" if by else "le"
    prefix = f"{{{{{by}}}}} " if by else ""
    return tuple(
        Line(
            f"histogram_quantile({share}, sum by ({labels}) (rate({histogram}_bucket[$__rate_interval])))",
            f"{prefix}p{share * 100:g}",
        )
        for share in shares
    )


def value(expr: str, legend: str = "") -> tuple[Line, ...]:
    """One expression."""
    return (Line(expr, legend),)
