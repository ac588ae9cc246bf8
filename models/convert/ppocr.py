"""PP-OCR conversion: two ONNX files, and the charset in the metadata of one of them."""

from pathlib import Path

import openvino as ov

from models.errors import InvalidModelFileError

_CHARSET = ["framework", "character"]


def convert(onnx: Path) -> ov.Model:
    """Convert an ONNX file to an OpenVINO model."""
    return ov.convert_model(onnx)


def read_charset(model: ov.Model) -> str:
    """The charset in the metadata of the reader's ONNX file, one character per line.

    Raises InvalidModelFileError if there is none.
    """
    if not model.has_rt_info(_CHARSET):
        raise InvalidModelFileError("the ONNX file carries no charset")
    text: str = model.get_rt_info(_CHARSET).astype(str)
    return text.rstrip("\n") + "\n"
