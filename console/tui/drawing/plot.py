"""Plots of values over time in block characters. Pure."""

from collections.abc import Sequence

_STEPS = " ▁▂▃▄▅▆▇█"


def plot(values: Sequence[float | None], height: int, top: float) -> list[str]:
    """Return `height` lines, upper first, with a column for each value: bars from 0 to `top`.

    None is a gap. A value above 0 has an eighth of a cell at least; 0 is a dot on the lowest line.
    """
    levels: list[int | None] = []
    for value in values:
        if value is None or value <= 0 or top <= 0:
            levels.append(None if value is None else 0)
        else:
            levels.append(max(1, min(8 * height, round(value / top * 8 * height))))
    lines: list[str] = []
    for row in range(height - 1, -1, -1):
        cells = [" " if n is None else _STEPS[max(0, min(8, n - 8 * row))] for n in levels]
        if row == 0:
            cells = ["·" if n == 0 else cell for n, cell in zip(levels, cells, strict=True)]
        lines.append("".join(cells))
    return lines


def resampled(values: Sequence[float | None], width: int) -> list[float | None]:
    """Return `width` values: each the highest of its share, or the one that it is a share of."""
    n = len(values)
    if not n:
        return [None] * width
    found: list[float | None] = []
    for x in range(width):
        first = x * n // width
        part = [v for v in values[first : max(first + 1, (x + 1) * n // width)] if v is not None]
        found.append(max(part) if part else None)
    return found
