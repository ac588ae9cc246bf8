"""Linear sum assignment from scipy's extension module, without an import of `scipy.optimize`.

`import scipy.optimize` loads a solver for every problem. It takes .3 s of each worker's start, a
fifth of it, and loads a second BLAS with its own threads. `linear_sum_assignment` is in an
extension module that needs only numpy, so only that file is loaded. If it is not found, the package
is imported.
"""

from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_Solver = Callable[[npt.NDArray[np.float64]], tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]


def _load() -> _Solver:
    found: Any = _from_file() or _from_package()
    return found  # type: ignore[no-any-return]


def _from_file() -> _Solver | None:
    package = find_spec("scipy")
    if package is None or package.origin is None:
        return None
    folder = Path(package.origin).parent / "optimize"
    spec = FileFinder(str(folder), (ExtensionFileLoader, EXTENSION_SUFFIXES)).find_spec("_lsap")
    if spec is None or spec.loader is None:
        return None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    solver: _Solver | None = getattr(module, "linear_sum_assignment", None)
    return solver


def _from_package() -> _Solver:
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - slow, rarely needed

    solver: _Solver = linear_sum_assignment
    return solver


linear_sum_assignment = _load()
"""Return rows and columns of the cheapest assignment of a cost matrix, rows ascending."""
