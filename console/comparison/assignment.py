"""Assignment of pairs with the greatest total weight, each member in one pair at most.

The pairs of two tasks fall into many small groups that share no member, so each group is solved by
itself: exactly, by shortest augmenting paths (the Hungarian algorithm with potentials, O(n² m)).
"""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

MAX_EXACT = 400
"""Members of the smaller side of a group up to which it is solved exactly.

Above, pairs are taken by weight, heaviest first.
"""

Pair = tuple[int, int]


def assigned(weights: Mapping[Pair, float]) -> set[Pair]:
    """Return the chosen pairs of `weights`, all of which are above 0."""
    chosen: set[Pair] = set()
    for group in _groups(weights):
        rows = sorted({a for a, _ in group})
        columns = sorted({b for _, b in group})
        if min(len(rows), len(columns)) > MAX_EXACT:
            chosen |= _heaviest_first(weights, group)
            continue
        matrix = np.zeros((len(rows), len(columns)))
        places_a = {a: i for i, a in enumerate(rows)}
        places_b = {b: i for i, b in enumerate(columns)}
        for a, b in group:
            matrix[places_a[a], places_b[b]] = weights[a, b]
        flipped = len(rows) > len(columns)
        for i, j in enumerate(_solved(matrix.T if flipped else matrix)):
            pair = (rows[j], columns[i]) if flipped else (rows[i], columns[j])
            if pair in weights:
                chosen.add(pair)
    return chosen


def _groups(weights: Mapping[Pair, float]) -> list[list[Pair]]:
    """Return the connected components of the pairs."""
    of_a: dict[int, list[Pair]] = defaultdict(list)
    of_b: dict[int, list[Pair]] = defaultdict(list)
    for pair in weights:
        of_a[pair[0]].append(pair)
        of_b[pair[1]].append(pair)
    groups: list[list[Pair]] = []
    left = dict.fromkeys(weights)
    while left:
        waiting = [next(iter(left))]
        del left[waiting[0]]
        group: list[Pair] = []
        while waiting:
            pair = waiting.pop()
            group.append(pair)
            for near in (*of_a.pop(pair[0], ()), *of_b.pop(pair[1], ())):
                if near in left:
                    del left[near]
                    waiting.append(near)
        groups.append(group)
    return groups


def _heaviest_first(weights: Mapping[Pair, float], group: list[Pair]) -> set[Pair]:
    chosen: set[Pair] = set()
    used_a: set[int] = set()
    used_b: set[int] = set()
    for a, b in sorted(group, key=lambda pair: (-weights[pair], pair)):
        if a not in used_a and b not in used_b:
            used_a.add(a)
            used_b.add(b)
            chosen.add((a, b))
    return chosen


def _solved(weights: npt.NDArray[np.float64]) -> list[int]:
    """Return the column of each row, for n rows and m >= n columns."""
    n_rows, n_columns = weights.shape
    cost = -weights
    row_potential = np.zeros(n_rows + 1)
    column_potential = np.zeros(n_columns + 1)
    row_of = np.full(n_columns + 1, n_rows)  # the last column is where each search begins
    for row in range(n_rows):
        row_of[n_columns] = row
        least = np.full(n_columns, np.inf)
        came_from = np.full(n_columns, n_columns)
        done = np.zeros(n_columns + 1, np.bool_)
        column = n_columns
        while row_of[column] != n_rows:
            done[column] = True
            here = int(row_of[column])
            reduced = cost[here] - row_potential[here] - column_potential[:-1]
            better = ~done[:-1] & (reduced < least)
            least[better] = reduced[better]
            came_from[better] = column
            following = int(np.where(done[:-1], np.inf, least).argmin())
            delta = least[following]
            row_potential[row_of[done]] += delta
            column_potential[done] -= delta
            least[~done[:-1]] -= delta
            column = following
        while column != n_columns:
            before = int(came_from[column])
            row_of[column] = row_of[before]
            column = before
    found = [0] * n_rows
    for column in range(n_columns):
        if row_of[column] != n_rows:
            found[int(row_of[column])] = column
    return found
