"""The one function of scipy that is loaded alone is scipy's, and brings nothing along."""

import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from streamproc.stages.tracking import assignment

COSTS = arrays(
    np.float64,
    array_shapes(min_dims=2, max_dims=2, max_side=8),
    elements=st.sampled_from([-1.0, -0.5, -0.25, 0.0]) | st.floats(-1.0, 0.0),
)


@given(COSTS)
def test_it_gives_what_the_package_gives_ties_included(costs: npt.NDArray[np.float64]) -> None:
    import scipy.optimize

    found = assignment.linear_sum_assignment(costs)
    expected = scipy.optimize.linear_sum_assignment(costs)
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))


@pytest.mark.usefixtures("processes")
def test_a_worker_loads_the_function_alone() -> None:
    code = "import sys, streamproc.worker.process; print('scipy.optimize' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_where_the_file_is_not_found_the_package_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    import scipy.optimize

    monkeypatch.setattr(assignment, "EXTENSION_SUFFIXES", [".nothing"])
    assert assignment._load() is scipy.optimize.linear_sum_assignment
