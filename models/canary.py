"""Canary: known pictures through every loaded network, to find a device that computes wrongly.

The first results of a network are compared with the CPU's in f32, within the error that its
precision is known to have. A device repeats its results, so later ones are compared with the first.
Two pictures are used: a device that is stuck gives the same result for both.
"""

import threading
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple
from weakref import WeakKeyDictionary, WeakSet

import cv2
import numpy as np
import numpy.typing as npt

from models.errors import InvalidModelFileError, ModelError
from models.registry import ships
from models.runtime import Network, Recipe, Runtime
from models.types import Image

BANDS = {"f32": 0.02, "f16": 0.1, "bf16": 0.35, "i8": 0.5}
"""Largest distance (see `distance`) from f32 by precision. Measured with the networks that ship:
bf16 .001 to .16, i8 .04 to .21; with another picture's result instead, .9 and more."""
REPEAT_BAND = 0.01
"""Largest distance of a network's later results from its first ones on the same device."""
_PICTURE = Path(__file__).with_name("canary.jpg")
_SIDE_PX = 320
"""Width or height of a picture for a network that takes any."""
_LINES = ("EXIT 42 NORTH", "Framewire 7B")
_SURE = 0.3
"""Classes and characters are compared where the reference gives at least this score."""

_Results = list[list[npt.NDArray[Any]]]
"""Copies of a network's outputs for each picture."""


class Finding(NamedTuple):
    """A network whose results are wrong, by its model's ref and its name.

    `cause`: `device` computes wrongly; `network` cannot be used on this device in this precision;
    `precision` makes its results differ much from those in f32, which may be all right.
    """

    ref: str
    network: str
    reason: str
    cause: Literal["device", "network", "precision"]

    def __str__(self) -> str:
        return f"{self.network} {self.reason}"


class Canary:
    """Checks the networks of one runtime. Thread-safe; a call waits for another one's end."""

    def __init__(self, runtime: Runtime, reference: Callable[[], Runtime]) -> None:
        """`reference`: returns the runtime that computes on the CPU in f32."""
        self._runtime, self._reference = runtime, reference
        self._first: WeakKeyDictionary[Network, _Results] = WeakKeyDictionary()
        self._checked: WeakSet[Network] = WeakSet()
        self._lock = threading.Lock()

    @property
    def device(self) -> str:
        """The device that is checked."""
        return self._runtime.device

    def has_unchecked(self) -> bool:
        """Whether a network was loaded that no check has seen."""
        return any(network not in self._checked for network in self._runtime.networks())

    def check(
        self, *, only_new: bool = False, progress: Callable[[], None] = lambda: None
    ) -> list[Finding]:
        """Run the pictures through all loaded networks, or those that were not checked yet.

        `progress` is called after each network.
        A network that ships and is wrong shows that the device is. One of the user's may not fit
        its precision: only if it was right before, the device is to blame.
        """
        with self._lock:
            findings = []
            for network in self._runtime.networks():
                if not (only_new and network in self._checked):
                    findings.append(self._check(network))
                    self._checked.add(network)
                    progress()
            return [finding for finding in findings if finding is not None]

    def _check(self, network: Network) -> Finding | None:
        first = self._first.get(network)
        is_device = first is not None or ships(network.recipe.manifest)

        def finding(reason: str, cause: Literal["network", "precision"]) -> Finding:
            blamed: Any = "device" if is_device else cause
            return Finding(network.recipe.manifest.ref, network.name, reason, blamed)

        try:
            results = _results(network)
            expected = first or _results(self._referred(network.recipe))
        except ModelError as exc:
            return finding(f"cannot be run: {exc}", "network")
        if not _are_finite(results) and _are_finite(expected):
            return finding("gives values that are not finite", "network")
        band = REPEAT_BAND if first else BANDS[_precision(network.recipe)]
        fault = fault_of(results, expected, band)
        if fault is None or not is_device:
            self._first[network] = results
        return None if fault is None else finding(fault, "precision")

    def _referred(self, recipe: Recipe) -> Network:
        return self._reference().network(
            recipe.manifest,
            recipe.network_input,
            role=recipe.role,
            head=recipe.head,
            precision="f32",
        )


def fault_of(results: _Results, expected: _Results, band: float) -> str | None:
    """Return what is wrong with the results of the pictures, None if they are within the band."""
    if _are_same(*results) and not _are_same(*expected):
        return "gives the same result for different pictures"
    worst = max(distance(f, r) for f, r in zip(results, expected, strict=True))
    if worst > band:
        return f"gives results {worst:.2f} from the expected ones; {band:.2f} is allowed"
    return None


def distance(outputs: Sequence[npt.NDArray[Any]], expected: Sequence[npt.NDArray[Any]]) -> float:
    """Return the largest distance of an output from the expected one, 0 for equal ones.

    It is the Euclidean norm of the difference relative to that of the expected values. Rows of
    boxes count by the score of their row (the first output). Classes and characters: the share
    that differs among sure ones. Infinite if shapes differ or values are not finite.
    """
    return max(
        (_distance(one, right, expected[0]) for one, right in zip(outputs, expected, strict=True)),
        default=0.0,
    )


def _distance(
    found: npt.NDArray[Any], expected: npt.NDArray[Any], scores: npt.NDArray[Any]
) -> float:
    if found.shape != expected.shape:
        return float("inf")
    if expected.dtype.kind != "f":
        sure = scores >= _SURE if scores.shape == expected.shape else np.ones(found.shape, bool)
        return float((found != expected)[sure].mean()) if sure.any() else 0.0
    a, b = found.astype(np.float64), expected.astype(np.float64)
    if scores is not expected and scores.shape == expected.shape[:-1]:
        a, b = a * scores[..., None], b * scores[..., None]
    if not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return float("inf")
    a, b = np.nan_to_num(a), np.nan_to_num(b)
    norm = float(np.linalg.norm(b))
    error = float(np.linalg.norm(a - b))
    return error / norm if norm else error


def _are_finite(results: _Results) -> bool:
    return all(np.isfinite(one).all() for found in results for one in found)


def _are_same(one: Sequence[npt.NDArray[Any]], other: Sequence[npt.NDArray[Any]]) -> bool:
    return all(
        np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(one, other, strict=True)
    )


def _precision(recipe: Recipe) -> str:
    """The key of `BANDS`: networks without a quantised file run in f32 or bf16."""
    if recipe.precision == "i8" and not recipe.is_quantised:
        return "f32"
    return "bf16" if recipe.precision == "i8-bf16" else recipe.precision


def _results(network: Network) -> _Results:
    results = []
    for picture in pictures(network.recipe):
        with network.infer(picture[None]) as outputs:
            results.append([np.array(output) for output in outputs])
    return results


def pictures(recipe: Recipe) -> list[Image]:
    """Return two pictures (height, width, 3) uint8 BGR of the size that the network takes."""
    width = recipe.network_input.width if recipe.network_input.width > 0 else _SIDE_PX
    height = recipe.network_input.height if recipe.network_input.height > 0 else _SIDE_PX
    if recipe.manifest.kind == "ocr":
        return [_text(line, width, height) for line in _LINES]
    street = np.asarray(cv2.resize(_street(), (width, height)), np.uint8)
    return [street, np.ascontiguousarray(street[:, ::-1])]


@cache
def _street() -> Image:
    picture = cv2.imread(str(_PICTURE))
    if picture is None:
        raise InvalidModelFileError(f"{_PICTURE} is missing or damaged")
    return np.asarray(picture, np.uint8)


def _text(line: str, width: int, height: int) -> Image:
    """A line of text in the middle of a light picture."""
    picture = np.full((height, width, 3), 235, np.uint8)
    place = (8, height // 2 + 10)
    return np.asarray(
        cv2.putText(
            picture, line, place, cv2.FONT_HERSHEY_SIMPLEX, 1.0, (20, 20, 20), 2, cv2.LINE_AA
        ),
        np.uint8,
    )
