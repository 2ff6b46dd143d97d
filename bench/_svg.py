"""Line charts as SVG by themselves: no script, no style from elsewhere, readable in print."""

from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT = 640, 320
_LEFT, _TOP, _RIGHT, _BOTTOM = 64, 40, 16, 56
# Lines differ by their dashes too, for whoever tells colours apart badly.
_STYLES = (("#1f5fa8", ""), ("#b3541e", "6 3"), ("#2d7d46", "2 3"), ("#6b4a9e", "8 3 2 3"))
_MARKS = 4


def line_chart(
    title: str, lines: Mapping[str, Sequence[tuple[float, float]]], *, x: str, y: str
) -> str:
    """Return a chart of the lines by name; ``x`` and ``y`` say what the axes are."""
    every = [point for points in lines.values() for point in points]
    right = max(at for at, _ in every) or 1
    top = 1.1 * max(value for _, value in every) or 1

    def place(at: float, value: float) -> tuple[float, float]:
        across = _LEFT + at / right * (_WIDTH - _LEFT - _RIGHT)
        down = _HEIGHT - _BOTTOM - value / top * (_HEIGHT - _TOP - _BOTTOM)
        return round(across, 1), round(down, 1)

    parts = [f'<text x="{_LEFT}" y="20" font-size="15">{escape(title)}</text>']
    for mark in range(_MARKS + 1):
        across, _ = place(right * mark / _MARKS, 0)
        _, down = place(0, top * mark / _MARKS)
        parts += [
            f'<path d="M{_LEFT} {down}H{_WIDTH - _RIGHT}" stroke="#ccc"/>',
            f'<text x="{_LEFT - 6}" y="{down + 4}" text-anchor="end">{top * mark / _MARKS:.4g}'
            "</text>",
            f'<text x="{across}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">'
            f"{right * mark / _MARKS:.4g}</text>",
        ]
    for number, (name, points) in enumerate(lines.items()):
        colour, dashes = _STYLES[number % len(_STYLES)]
        drawn = " ".join(f"{a},{b}" for a, b in (place(*point) for point in points))
        parts += [
            f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2" '
            f'stroke-dasharray="{dashes or "none"}"/>',
            f'<text x="{_LEFT + 150 * number}" y="{_HEIGHT - 8}" fill="{colour}">{escape(name)}'
            "</text>",
        ]
    parts += [
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 24}" text-anchor="end">{escape(x)}</text>',
        f'<text x="{_LEFT - 6}" y="{_TOP - 6}" text-anchor="end">{escape(y)}</text>',
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'font-family="sans-serif" font-size="12" role="img"><title>{escape(title)}</title>'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )
