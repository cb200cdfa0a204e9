"""Charts in plain SVG, for a page without outside resources."""

import html
from collections.abc import Iterable, Sequence

WIDTH, ROW, LEFT, RIGHT = 760, 26, 190, 90
HEIGHT, MARGIN = 300, 60
LETTER, LINE = 8, 14  # the most that a letter of a label is wide and high


def bars(values: dict[str, float], template: str) -> str:
    """Horizontal bars, one for each `{name: number}` that is not NaN. template: of their labels, such as "{:.2f} MB"."""
    known = {name: value for name, value in values.items() if value == value}
    largest = max(known.values(), default=0) or 1
    lines = []
    for index, (name, value) in enumerate(known.items()):
        y, length = index * ROW, (WIDTH - LEFT - RIGHT) * value / largest
        lines.append(
            f'<text x="{LEFT - 8}" y="{y + 17}" text-anchor="end">{html.escape(name)}</text>'
            f'<rect x="{LEFT}" y="{y + 4}" width="{length:.1f}" height="{ROW - 8}" rx="2"/>'
            f'<text x="{LEFT + length + 6:.1f}" y="{y + 17}">{template.format(value)}</text>'
        )
    return svg(len(known) * ROW, lines)


def scatter(points: dict[str, tuple[float, float]], x_template: str, y_template: str) -> str:
    """Labeled dots, `{name: (x, y)}` without NaN; each axis goes from the smallest value to the largest."""
    known = {name: xy for name, xy in points.items() if xy[0] == xy[0] and xy[1] == xy[1]}
    scales = [value_range([xy[axis] for xy in known.values()]) for axis in (0, 1)]

    def place(xy: Sequence[float]) -> tuple[float, float]:
        x, y = ((value - low) / (high - low) for value, (low, high) in zip(xy, scales, strict=True))
        return LEFT / 2 + x * (WIDTH - LEFT - RIGHT), HEIGHT - MARGIN - y * (HEIGHT - 2 * MARGIN)

    left, bottom, right = LEFT / 2, HEIGHT - MARGIN, WIDTH - LEFT / 2 - RIGHT
    lines = [f'<path d="M{left - 12} {MARGIN - 20}V{bottom + 12}H{right + 12}"/>']
    dots = {name: place(xy) for name, xy in sorted(known.items(), key=lambda item: item[1])}
    taken = [(x - 6, y + 4, 12) for x, y in dots.values()]
    for name, (x, y) in dots.items():
        width = LETTER * len(name)
        label_y = free_height(x + 9, y + 4, width, taken)
        taken.append((x + 9, label_y, width))
        lines.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"/>')
        lines.append(f'<text x="{x + 9:.1f}" y="{label_y:.1f}">{html.escape(name)}</text>')
    (x_low, x_high), (y_low, y_high) = scales
    lines.append(f'<text x="{left}" y="{bottom + 30}">{x_template.format(x_low)}</text>')
    lines.append(f'<text x="{right}" y="{bottom + 30}" text-anchor="end">{x_template.format(x_high)}</text>')
    lines.append(f'<text x="{left - 18}" y="{bottom}" text-anchor="end">{y_template.format(y_low)}</text>')
    lines.append(f'<text x="{left - 18}" y="{MARGIN + 4}" text-anchor="end">{y_template.format(y_high)}</text>')
    return svg(HEIGHT, lines)


def free_height(x: float, y: float, width: float, taken: Iterable[tuple[float, float, float]]) -> float:
    """The height nearest to `y` at which a label that begins at `x` covers none of `taken`, each (x, y, width)."""
    beside = [other_y for other_x, other_y, other_width in taken if other_x < x + width and x < other_x + other_width]
    heights = sorted([y, *range(LINE, HEIGHT)], key=lambda height: abs(height - y))
    return next((height for height in heights if all(abs(height - other) >= LINE for other in beside)), y)


def value_range(values: Sequence[float]) -> tuple[float, float]:
    """The smallest and the largest value; a range of 1 around the value where they are the same."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def svg(height: float, lines: Iterable[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img">{"".join(lines)}</svg>'
