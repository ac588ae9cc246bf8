"""Faults of a device, planted in the requests of a real compiled network."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.runtime import Network

Change = Callable[[Sequence[npt.NDArray[Any]]], list[npt.NDArray[Any]]]


def plant(network: Network, change: Change) -> None:
    """Make all results of the network go through `change`."""
    requests = [network._free.get() for _ in range(network.n_requests)]
    for request in requests:
        request.outputs = _changed(request.outputs, change)  # type: ignore[method-assign]
        network._free.put(request)


def repair(network: Network) -> None:
    """Undo `plant`."""
    requests = [network._free.get() for _ in range(network.n_requests)]
    for request in requests:
        del request.outputs
        network._free.put(request)


def hang(network: Network, wait: Callable[[], object]) -> None:
    """Make all requests of the network call `wait` before they run."""
    requests = [network._free.get() for _ in range(network.n_requests)]
    for request in requests:
        request.run = _after(wait, request.run)  # type: ignore[method-assign]
        network._free.put(request)


def not_finite(outputs: Sequence[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
    """One value of the first output is NaN."""
    first = np.array(outputs[0])
    first.flat[first.size // 2] = np.nan
    return [first, *outputs[1:]]


def zero(outputs: Sequence[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
    """Nothing is computed."""
    return [np.zeros_like(one) for one in outputs]


def shifted(outputs: Sequence[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
    """The values are right, in wrong places."""
    return [np.roll(one, one.size // 3) for one in outputs]


def scaled(outputs: Sequence[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
    """All values are too large."""
    return [(one * 2).astype(one.dtype) for one in outputs]


def stuck() -> Change:
    """The first result is given for ever."""
    kept: list[npt.NDArray[Any]] = []

    def change(outputs: Sequence[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        if not kept:
            kept.extend(np.array(one) for one in outputs)
        return list(kept)

    return change


def _changed(outputs: Any, change: Change) -> Any:
    return lambda: change(outputs())


def _after(wait: Callable[[], object], run: Any) -> Any:
    def waits(image: Any) -> None:
        wait()
        run(image)

    return waits
