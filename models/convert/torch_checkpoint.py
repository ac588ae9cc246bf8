"""Safe reader of legacy PyTorch checkpoints: numpy arrays, no PyTorch, no code from the pickle.

Reads the format that PyTorch used before 1.6, because the only checkpoint here has it. The file
contains pickles of a magic number, a version, system information, the state dict and the keys of
the storages; then, for each key, a 64-bit length and the values.
"""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from models.errors import InvalidModelFileError

MAGIC = 0x1950A86A20F9469CFC6C

_DTYPES = {"FloatStorage": np.float32, "LongStorage": np.int64}


def read_tensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    """All tensors by their names in the state dict.

    Raises InvalidModelFileError if the file has another format, or contains anything other than
    contiguous tensors.
    """
    storages: dict[str, npt.NDArray[Any]] = {}
    with path.open("rb") as stream:
        try:
            if _Reader(stream, storages).load() != MAGIC:
                raise InvalidModelFileError(f"{path} is no checkpoint of the old format")
            _Reader(stream, storages).load()
            _Reader(stream, storages).load()
            state = _Reader(stream, storages).load()
            keys = _Reader(stream, storages).load()
        except (pickle.UnpicklingError, EOFError) as exc:
            raise InvalidModelFileError(f"{path} is no checkpoint of the old format") from exc
        for key in keys:
            n = int.from_bytes(stream.read(8), "little")
            values = storages[key]
            if n != len(values):
                raise InvalidModelFileError(
                    f"{path}: storage {key} has {n} values, not {len(values)}"
                )
            values[:] = np.frombuffer(stream.read(values.nbytes), values.dtype)
    tensors = state.get("state_dict", state)
    return {name: tensor for name, tensor in tensors.items() if isinstance(tensor, np.ndarray)}


class _Reader(pickle.Unpickler):
    """Restricted unpickler: allows ordered dictionaries and tensors, rejects every other name."""

    def __init__(self, stream: BinaryIO, storages: dict[str, npt.NDArray[Any]]) -> None:
        super().__init__(stream)
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise InvalidModelFileError(f"the checkpoint asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> npt.NDArray[Any]:
        """Return a storage. Its values are read later; tensors are views of it."""
        _, dtype, key, _, n, *_ = pid
        return self._storages.setdefault(key, np.zeros(n, dtype))


def _rebuild(
    storage: npt.NDArray[Any], offset: int, shape: tuple[int, ...], strides: Any, *_: Any
) -> npt.NDArray[Any]:
    values = storage[offset : offset + int(np.prod(shape))].reshape(shape)
    expected = tuple(step // storage.itemsize for step in values.strides)
    if values.size > 1 and tuple(strides) != expected:
        raise InvalidModelFileError("the checkpoint has a tensor that is not contiguous")
    return values
