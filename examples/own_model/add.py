"""Export a tiny detector and add it to a directory of models.

    python examples/own_model/add.py DIRECTORY

The network has one convolution with weights set by hand, and finds yellow things: vests, cones.
Put your own network in its place: all that Framewire wants of one are the outputs of a decoder
that it knows (docs/models.md), here YOLOX's.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as ops

NAME = "yellow-things"
CLASSES = ("yellow_thing",)
WIDTH, HEIGHT = 512, 384  # of the input, in pixels
STRIDE = 8  # pixels a cell, both ways
WEIGHTS = (-0.75, 0.9, 0.15)  # of blue, green and red
EVEN, SOFTNESS = 103.0, 2.0  # the sum whose score is .5, and how much more makes it .73
BOX = (2.5, 2.5)  # width and height of every box, in cells


def network() -> ov.Model:
    """Return a network from pixels [1, 3, HEIGHT, WIDTH] in 0..255 to [1, cells, 5 + classes].

    Of each cell: the place of a box's centre in it, the logarithm of the box's size in cells, the
    score that there is something, and the score of each class.
    """
    n_rows, n_columns, n_classes = HEIGHT // STRIDE, WIDTH // STRIDE, len(CLASSES)
    image = ops.parameter([1, 3, HEIGHT, WIDTH], np.float32, name="image")
    size, nothing = [STRIDE, STRIDE], [0, 0]
    cells = ops.avg_pool(image, size, nothing, nothing, size, exclude_pad=True)
    weights = np.array(WEIGHTS, np.float32).reshape(1, 3, 1, 1)
    yellow = ops.convolution(cells, weights, [1, 1], nothing, nothing, [1, 1])
    score = ops.sigmoid(ops.divide(ops.subtract(yellow, np.float32(EVEN)), np.float32(SOFTNESS)))

    box = np.array([0.5, 0.5, *np.log(BOX)], np.float32).reshape(1, 4, 1, 1)
    boxes = np.broadcast_to(box, (1, 4, n_rows, n_columns))
    classes = np.ones((1, n_classes, n_rows, n_columns), np.float32)
    head = ops.concat([ops.constant(boxes), score, ops.constant(classes)], axis=1)
    shape = np.array([1, 5 + n_classes, n_rows * n_columns])
    rows = ops.transpose(ops.reshape(head, shape, special_zero=False), np.array([0, 2, 1]))
    return ov.Model([rows], [image], NAME)


def main() -> None:
    """Write the network and its classes to a temporary folder, and let `models add` take them."""
    (directory,) = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        path, classes = Path(folder, "network.xml"), Path(folder, "classes.txt")
        ov.save_model(network(), path, compress_to_fp16=False)
        classes.write_text("\n".join(CLASSES) + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "models", "add", str(path), "--dir", directory]
        command += ["--name", NAME, "--decoder", "yolox", "--strides", str(STRIDE)]
        command += ["--classes", str(classes), "--resize", "plain"]
        command += ["--threshold", ".6", "--low-threshold", ".4", "--iou-threshold", ".1"]
        command += ["--description", "yellow things: vests, cones", "--licence", "Apache-2.0"]
        raise SystemExit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main()
