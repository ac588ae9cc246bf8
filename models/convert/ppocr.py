"""PP-OCR: two ONNX files and the charset that one of them carries."""

from pathlib import Path

import openvino as ov

from models.errors import InvalidModelFileError

_CHARSET = ["framework", "character"]


def convert(onnx: Path) -> ov.Model:
    """The network of an ONNX file."""
    return ov.convert_model(onnx)


def read_charset(model: ov.Model) -> str:
    """The reader's characters, one a line, from the metadata of its ONNX file."""
    if not model.has_rt_info(_CHARSET):
        raise InvalidModelFileError("the ONNX file carries no charset")
    text: str = model.get_rt_info(_CHARSET).astype(str)
    return text.rstrip("\n") + "\n"
