"""Growth curves as a picture, from what `./dev bench scale --json` has said.

./dev bench scale --json > scale.json
python -m bench._curves scale.json docs/growth.svg
"""

import json
import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

WIDTH: Final = 700
HEIGHT: Final = 360
LEFT, RIGHT, TOP, BOTTOM = 60, 215, 20, 45
SVG: Final = "http://www.w3.org/2000/svg"
FONT: Final = 'font-family="sans-serif" font-size="12"'
GRID: Final = 'stroke="#e5e7eb"'
COLOURS: Final = ("#2563eb", "#dc2626", "#059669", "#9333ea", "#d97706", "#0891b2")
NAME: Final = re.compile(r"(.+): ([\d,]+) nodes, [\d,]+ containers")
MS_OF: Final = {"ms": 1.0, "s": 1_000.0}
Curve = list[tuple[float, float]]


def curves(lines: Iterable[str]) -> dict[str, Curve]:
    """Of each thing that was measured at several sizes: nodes and milliseconds."""
    found: dict[str, Curve] = {}
    for line in lines:
        result = json.loads(line)
        match = NAME.fullmatch(result["name"])
        if match is not None and result["unit"] in MS_OF:
            nodes = int(match[2].replace(",", ""))
            found.setdefault(match[1], []).append((nodes, result["value"] * MS_OF[result["unit"]]))
    return {name: sorted(curve) for name, curve in found.items() if len(curve) > 1}


def picture(found: Mapping[str, Curve]) -> str:
    """An SVG with both axes logarithmic."""
    across = [nodes for curve in found.values() for nodes, _ in curve]
    upwards = [ms for curve in found.values() for _, ms in curve]
    x_of = Scale(min(across), max(across), LEFT, WIDTH - RIGHT)
    y_of = Scale(_decade(min(upwards), -1), _decade(max(upwards), 1), HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="{SVG}" viewBox="0 0 {WIDTH} {HEIGHT}" {FONT}>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for nodes in sorted(set(across)):
        x = x_of(nodes)
        parts.append(f'<line x1="{x:.0f}" y1="{TOP}" x2="{x:.0f}" y2="{HEIGHT - BOTTOM}" {GRID}/>')
        parts.append(_text(x, HEIGHT - BOTTOM + 16, f"{nodes:,.0f}", "middle"))
    value = _decade(min(upwards), -1)
    while value <= _decade(max(upwards), 1):
        y = y_of(value)
        parts.append(f'<line x1="{LEFT}" y1="{y:.0f}" x2="{WIDTH - RIGHT}" y2="{y:.0f}" {GRID}/>')
        parts.append(_text(LEFT - 6, y + 4, f"{value:,g}", "end"))
        value *= 10
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "nodes", "middle"))
    parts.append(_text(LEFT - 6, TOP - 6, "ms", "end"))
    ends = []
    for colour, (name, curve) in zip(COLOURS, found.items(), strict=False):
        points = " ".join(f"{x_of(nodes):.1f},{y_of(ms):.1f}" for nodes, ms in curve)
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        ends.append((y_of(curve[-1][1]), name, colour))
    x, last = x_of(max(across)), float("-inf")
    for y, name, colour in sorted(ends):
        last = max(y, last + 14)  # names of curves that end together stand below each other
        parts.append(_text(x + 8, last + 4, name, "start", colour))
    return "\n".join([*parts, "</svg>", ""])


def _decade(value: float, direction: int) -> float:
    """The power of ten at or beyond a value."""
    exponent = math.log10(value)
    return 10.0 ** (math.floor(exponent) if direction < 0 else math.ceil(exponent))


class Scale:
    """From a value on a logarithmic axis to a place in the picture."""

    def __init__(self, least: float, most: float, start: float, end: float) -> None:
        self._least, self._span = math.log(least), math.log(most) - math.log(least)
        self._start, self._length = start, end - start

    def __call__(self, value: float) -> float:
        return self._start + self._length * (math.log(value) - self._least) / self._span


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#374151") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{colour}">{text}</text>'


def main(arguments: Sequence[str]) -> None:
    """Draw what one file says into another."""
    source, target = map(Path, arguments)
    Path(target).write_text(picture(curves(source.read_text().splitlines())))


if __name__ == "__main__":
    main(sys.argv[1:])
