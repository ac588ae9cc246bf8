"""Letters that stand under each other: which quads are one column, and what its text is.

Letters close under each other are one quad already. Wide-set ones are several, of a letter or a
few each; most would be dropped as too short. They are joined where nothing stands beside them.
"""

from collections.abc import Sequence

import numpy as np

from models.types import Floats

MAX_ASPECT = 1.4
"""A letter is at most so many times wider than high; two letters beside each other are not."""
MAX_GAP = 1.6
MAX_OFFSET = 0.3
"""Between two letters, in widths of the widest: the gap, and how far one is out of the middle."""
MAX_RATIO = 3.0
"""Of the widths of two letters: M and I."""
MIN_HEIGHT = 2.5
"""Height of a column in widths: three letters."""
FREE = 1.0
"""Nothing else is so near to a column, at its left or right, in its widths."""

_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}


def join_columns(quads: Sequence[Floats]) -> tuple[list[Floats], list[Floats]]:
    """Return the columns, as upright quads, and the other quads, in their order.

    `quads` are (4, 2) float32, clockwise from the top left.
    """
    bounds = [np.concatenate([quad.min(axis=0), quad.max(axis=0)]) for quad in quads]
    taken: set[int] = set()
    seen: set[int] = set()
    joined: list[Floats] = []
    slim = [i for i in _downwards(bounds) if _width(bounds[i]) <= MAX_ASPECT * _height(bounds[i])]
    for first in slim:
        if first in seen:
            continue
        column = [first]
        for other in slim:
            if other not in seen and other not in column and _follows(bounds, column, other):
                column.append(other)
        seen.update(column)  # a part of a column that is none is none
        whole = _around([bounds[i] for i in column])
        beside = any(_is_near(whole, bounds[i]) for i in range(len(quads)) if i not in column)
        if len(column) > 1 and _height(whole) >= MIN_HEIGHT * _width(whole) and not beside:
            left, top, right, bottom = whole
            corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
            joined.append(np.array(corners, np.float32))
            taken.update(column)
    return joined, [quad for i, quad in enumerate(quads) if i not in taken]


def half_width(text: str) -> str:
    """Return the text with ASCII instead of its full-width forms.

    The reader gives those for letters that stand upright in vertical text.
    """
    return text.translate(_FULL_WIDTH)


def _downwards(bounds: Sequence[Floats]) -> list[int]:
    return sorted(range(len(bounds)), key=lambda i: (float(bounds[i][1]), float(bounds[i][0])))


def _follows(bounds: Sequence[Floats], column: Sequence[int], other: int) -> bool:
    above, below = bounds[column[-1]], bounds[other]
    widths = [_width(bounds[i]) for i in (*column, other)]
    widest = max(widths)
    gap = float(below[1] - above[3])
    offset = abs(float(above[0] + above[2] - below[0] - below[2])) / 2
    return (
        -MAX_OFFSET * widest <= gap <= MAX_GAP * widest
        and offset <= MAX_OFFSET * widest
        and widest <= MAX_RATIO * min(widths)
    )


def _is_near(column: Floats, other: Floats) -> bool:
    margin = FREE * _width(column)
    return bool(
        other[1] < column[3]
        and other[3] > column[1]
        and other[0] < column[2] + margin
        and other[2] > column[0] - margin
    )


def _around(bounds: Sequence[Floats]) -> Floats:
    every = np.stack(bounds)
    whole: Floats = np.concatenate([every[:, :2].min(axis=0), every[:, 2:].max(axis=0)])
    return whole


def _width(bound: Floats) -> float:
    return float(bound[2] - bound[0])


def _height(bound: Floats) -> float:
    return float(bound[3] - bound[1])
