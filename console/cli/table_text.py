"""Tables as lines of text: aligned columns, numbers on the right with equal decimals. Pure."""

from collections.abc import Sequence

from console.printable import printable

MAX_DECIMALS = 4


def table_lines(
    headers: Sequence[str], rows: Sequence[Sequence[object]], *, exact: bool = False
) -> list[str]:
    """Return the header and one line per row; None is `-`.

    Fractions have at most four decimals, as many in each row of a column. `exact`: values are not
    rounded. All text is escaped.
    """
    columns = [
        [printable(header), *_cells([row[i] for row in rows], exact=exact)]
        for i, header in enumerate(headers)
    ]
    right = [any(isinstance(row[i], int | float) for row in rows) for i in range(len(headers))]
    widths = [max(map(len, column)) for column in columns]
    return [
        "  ".join(
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in zip(*columns, strict=True)
    ]


def _cells(values: Sequence[object], *, exact: bool) -> list[str]:
    fractions = [value for value in values if isinstance(value, float)]
    n_decimals = max(map(_decimals, fractions), default=0)
    return [_cell(value, None if exact else n_decimals) for value in values]


def _cell(value: object, n_decimals: int | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, float) and n_decimals is not None:
        return f"{value:.{n_decimals}f}"
    return printable(str(value))


def _decimals(value: float) -> int:
    """Return how many decimals the value needs, at most `MAX_DECIMALS`; of infinity none."""
    _, _, decimals = f"{value:.{MAX_DECIMALS}f}".partition(".")
    return len(decimals.rstrip("0"))
