"""A run, or two side by side, as one SVG: no script, no foreign asset, light and dark."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from ragplatform.evaluation.summary import Run

_LEFT: Final = 180
_BAR: Final = 420
_WIDTH: Final = _LEFT + _BAR + 120
_ROW: Final = 18
_GAP: Final = 14
_TOP: Final = 76
# Both palettes keep 4.5:1 between text and ground, 3:1 between bars and ground.
# Source: WCAG 2.2, 1.4.3 and 1.4.11. The second run is striped: no meaning by colour alone.
_STYLE: Final = """
.ground{fill:#fff}
.word{fill:#1a1a1a;font:13px system-ui,sans-serif}
.head{font-weight:600;font-size:15px}
.small{font-size:11px}
.right{text-anchor:end}
.one{fill:#1f5fa8}
.two{fill:url(#stripes);stroke:#8a4b08}
.stripe{stroke:#8a4b08;stroke-width:3}
.whisker{stroke:#1a1a1a;stroke-width:1.5;fill:none}
.grid{stroke:#8a8a8a;stroke-width:.5}
@media (prefers-color-scheme:dark){.ground{fill:#151515}.word{fill:#f0f0f0}.one{fill:#7fb4ee}
.two{stroke:#f0b072}.stripe{stroke:#f0b072}.whisker{stroke:#f0f0f0}.grid{stroke:#777}}
""".replace("\n", "")


@dataclass(frozen=True, slots=True)
class _Bar:
    """One bar: its measure's name where it is the first of a row, where it ends, its interval."""

    name: str
    run: int
    mean: float
    low: float
    high: float
    questions: int


def draw(runs: Sequence[Run]) -> str:
    """Return the SVG of one or two runs, the earlier one first."""
    bars = _bars(runs)
    rows = len({one.name for one in bars})
    height = _TOP + len(bars) * _ROW + rows * _GAP + 40
    title = "Evaluation of " + " and ".join(run.name for run in runs)
    said = "; ".join(f"{one.name}: {one.mean:.3f} of {one.questions}" for one in bars)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-labelledby="title said"><title id="title">{escape(title)}</title>'
        f'<desc id="said">{escape(said)}. Bars show means, lines their 95 % intervals.</desc>',
        f"<style>{_STYLE}</style>",
        '<defs><pattern id="stripes" width="6" height="6" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><line class="stripe" x1="0" y1="0" x2="0" y2="6"/>'
        "</pattern></defs>",
        f'<rect class="ground" width="{_WIDTH}" height="{height}"/>',
        f'<text class="word head" x="16" y="26">{escape(title)}</text>',
        *_legend(runs),
        *_grid(height),
        *_drawn(bars),
        _footer(runs, height),
        "</svg>",
    ]
    return "".join(parts) + "\n"


def _bars(runs: Sequence[Run]) -> list[_Bar]:
    figures = [run.figures() for run in runs]
    names = list(dict.fromkeys(name for one in figures for name in one))
    return [
        _Bar(name, number, one[name].mean, one[name].low, one[name].high, one[name].questions)
        for name in names
        for number, one in enumerate(figures)
        if name in one
    ]


def _legend(runs: Sequence[Run]) -> list[str]:
    if len(runs) < 2:
        return []
    return [
        f'<rect class="{kind}" x="{16 + at * 230}" y="38" width="24" height="12"/>'
        f'<text class="word small" x="{46 + at * 230}" y="48">{escape(run.name[:28])}</text>'
        for at, (kind, run) in enumerate(zip(("one", "two"), runs, strict=False))
    ]


def _grid(height: int) -> list[str]:
    lines = []
    for tenth in range(0, 11, 2):
        x = _LEFT + _BAR * tenth / 10
        lines.append(
            f'<line class="grid" x1="{x:.1f}" y1="{_TOP - 8}" x2="{x:.1f}" y2="{height - 34}"/>'
            f'<text class="word small" x="{x - 8:.1f}" y="{_TOP - 12}">{tenth / 10:.1f}</text>'
        )
    return lines


def _drawn(bars: Sequence[_Bar]) -> list[str]:
    drawn, y, before = [], float(_TOP), ""
    for one in bars:
        if one.name != before:
            y += _GAP if before else 0
            drawn.append(
                f'<text class="word right" x="{_LEFT - 10}" y="{y + 12}">{escape(one.name)}</text>'
            )
        kind = ("one", "two")[one.run]
        middle = y + _ROW / 2 - 2
        left, right = _LEFT + _BAR * one.low, _LEFT + _BAR * one.high
        drawn.append(
            f'<rect class="{kind}" x="{_LEFT}" y="{y}" width="{_BAR * one.mean:.1f}" '
            f'height="{_ROW - 4}"/>'
            f'<path class="whisker" d="M{left:.1f} {middle}H{right:.1f}M{left:.1f} {middle - 4}v8'
            f'M{right:.1f} {middle - 4}v8"/>'
            f'<text class="word small" x="{_LEFT + _BAR + 10}" y="{y + 12}">'
            f"{one.mean:.3f} (n {one.questions})</text>"
        )
        y += _ROW
        before = one.name
    return drawn


def _footer(runs: Sequence[Run], height: int) -> str:
    latency = runs[-1].latency_ms
    said = ", ".join(f"{name.replace('_', ' ')} {value:g} ms" for name, value in latency.items())
    return f'<text class="word small" x="16" y="{height - 12}">{escape(said)}</text>'
