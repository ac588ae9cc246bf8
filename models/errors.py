"""Errors of the package `models`.

ModelError
├── UnknownModelError        no such model; lists the models that exist
├── InvalidParametersError   a step's parameters do not fit the model; names the field
├── InvalidManifestError     a manifest is not readable or contradicts itself
├── InvalidModelFileError    a file is missing, was changed, or does not match its manifest
├── InferenceError           a loaded network failed on its input
├── UnusableTextError        a text has no word that a text encoder knows
├── RemovalRefusedError      a model cannot be removed; says why
├── UnsupportedDeviceError   the device or the precision does not exist on this machine
└── MissingExtraError        an optional dependency is not installed
"""

from collections.abc import Sequence


class ModelError(Exception):
    """Base class of all errors that the package raises."""


class UnknownModelError(ModelError):
    """No model has this name; `available` lists every name that works, `similar` one like it."""

    def __init__(self, name: str, available: Sequence[str], similar: str | None = None) -> None:
        self.name = name
        self.available = tuple(available)
        meant = f"; did you mean {similar!r}?" if similar is not None else ""
        listed = ", ".join(available) or "none"
        super().__init__(f"unknown model {name!r}; available: {listed}{meant}")


class InvalidParametersError(ModelError):
    """A parameter does not fit the model.

    `field` is the path inside the step, such as `parameters.classes[1]`. `allowed` lists the valid
    values; it is empty if they cannot be listed (a number out of range).
    """

    def __init__(self, field: str, message: str, allowed: Sequence[str] = ()) -> None:
        self.field = field
        self.message = message
        self.allowed = tuple(allowed)
        super().__init__(f"{field}: {message}")


class InvalidManifestError(ModelError):
    """A manifest cannot be read, or its parts contradict each other."""


class InvalidModelFileError(ModelError):
    """A model's file is missing, was changed after its manifest was written, or does not fit it."""


class InferenceError(ModelError):
    """A loaded network failed while it ran; the next call may succeed."""


class UnusableTextError(ModelError):
    """A text encoder makes no vector of this text."""


class RemovalRefusedError(ModelError):
    """The model cannot be removed: it ships with the product, or something needs it."""


class UnsupportedDeviceError(ModelError):
    """This machine does not have the requested device or precision."""


class MissingExtraError(ModelError):
    """An optional dependency that this needs is not installed."""


def reason_of(exc: Exception) -> str:
    """The last non-empty line of OpenVINO's message; those before are source paths and a trace."""
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return lines[-1] if lines else type(exc).__name__
