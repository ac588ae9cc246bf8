"""`python -m models list | add | remove | quantize | verify`: models that ship, and a user's own.

list      one line per model, or one JSON array with --json
add       import a user's own detector, network of feature vectors or text encoder (ONNX or IR)
remove    remove a user's own model; it is not asked here whether tasks use it
quantize  add an 8-bit network to such a detector, after showing what it changes on given clips
verify    read every file of every model and compare its sha256 with the manifest
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models.errors import ModelError
from models.manifest import Manifest
from models.registry import Registry
from models.removal import removable_model, remove_model


def main(argv: Sequence[str] | None = None) -> int:
    """Return the exit code: 0 done, 1 a model was refused, 2 wrong usage."""
    arguments = _parser().parse_args(argv)
    try:
        output: str = arguments.run(Registry(arguments.dir), arguments)
    except ModelError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    sys.stdout.write(output + "\n")
    return 0


def summary(manifest: Manifest, *, is_default: bool) -> dict[str, Any]:
    """The fields of a model that `list` shows."""
    return {
        "ref": manifest.ref,
        "kind": manifest.kind,
        "default": is_default,
        "licence": manifest.licence,
        "source": manifest.source,
        "description": manifest.description,
        "classes": list(manifest.classes),
    }


def _list(registry: Registry, arguments: argparse.Namespace) -> str:
    summaries = [summary(m, is_default=registry.is_default(m)) for m in registry.list()]
    if arguments.json:
        return json.dumps(summaries)
    return "\n".join(
        f"{s['ref']:24} {s['kind']:12} {'default' if s['default'] else '':8} "
        f"{s['licence']:12} {s['description']}"
        for s in summaries
    )


def _verify(registry: Registry, _: argparse.Namespace) -> str:
    for manifest in registry.list():
        for file in manifest.files:
            manifest.read_file(file.role)
    return f"{len(registry.list())} models, every file as its manifest says"


def _add(registry: Registry, arguments: argparse.Namespace) -> str:
    from models.importer import UserModel, add_model  # noqa: PLC0415  # listing models must not load OpenVINO

    given = {k: v for k, v in vars(arguments).items() if k not in {"run", "dir", "json"}}
    for name in ("mean", "scale", "strides"):
        if name in given:
            given[name] = tuple(given[name])
    manifest = add_model(registry, UserModel(**given))
    if arguments.json:
        return json.dumps(summary(manifest, is_default=False))
    size = f"{manifest.dimensions} dimensions" if manifest.dimensions else ""
    told = f"{manifest.description}, {size or f'{len(manifest.classes)} classes'}"
    return f"added {manifest.ref}: {told}, in {manifest.directory}"


def _remove(registry: Registry, arguments: argparse.Namespace) -> str:
    if arguments.check:
        manifest = removable_model(registry, arguments.name)
    else:
        manifest = remove_model(registry, arguments.name)
    if arguments.json:
        return json.dumps({"ref": manifest.ref, "kind": manifest.kind})
    return f"{manifest.ref} can be removed" if arguments.check else f"removed {manifest.ref}"


def _quantize(registry: Registry, arguments: argparse.Namespace) -> str:
    from models.quantizer import Loss, quantize_model  # noqa: PLC0415  # as for `add`

    def accept(loss: Loss) -> bool:
        sys.stderr.write(f"{loss}\n")
        if arguments.yes or not sys.stdin.isatty():
            return bool(arguments.yes)
        return input("Add the 8-bit network? [y/N] ").strip().lower() in {"y", "yes"}

    manifest, loss = quantize_model(
        registry, arguments.name, arguments.clips, accept=accept, n_pictures=arguments.pictures
    )
    was_added = manifest.has_file("network.i8")
    if arguments.json:
        return json.dumps({"ref": manifest.ref, "added": was_added, **asdict(loss)})
    if was_added:
        return f"{manifest.ref} has an 8-bit network: tasks that start now use it"
    return "nothing was added: --yes adds it"


def _n_pictures(text: str) -> int:
    from models.quantizer import MAX_PICTURES, MIN_PICTURES  # noqa: PLC0415  # as for `add`

    n = int(text)
    if not MIN_PICTURES <= n <= MAX_PICTURES:
        raise argparse.ArgumentTypeError(f"must be between {MIN_PICTURES} and {MAX_PICTURES}")
    return n


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="models", description=(__doc__ or "").splitlines()[0])
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--dir", type=Path, help="the directory of a user's own models")
    common.add_argument("--json", action="store_true", help="print JSON")
    commands = parser.add_subparsers(required=True)
    commands.add_parser("list", parents=[common]).set_defaults(run=_list)
    commands.add_parser("verify", parents=[common]).set_defaults(run=_verify)
    # SUPPRESS: an absent option keeps the default of UserModel.
    add = commands.add_parser("add", parents=[common], argument_default=argparse.SUPPRESS)
    add.set_defaults(run=_add)
    add.add_argument(
        "network",
        type=Path,
        help=".onnx, an OpenVINO .xml with its .bin beside it, or a directory with one of them",
    )
    add.add_argument(
        "--kind",
        choices=["detect", "feature", "text-encoder"],
        help="feature: a network of feature vectors; text-encoder: words that find their pictures",
    )
    add.add_argument(
        "--for",
        dest="feature_model",
        metavar="MODEL",
        help="text-encoder: the feature model whose pictures it finds",
    )
    add.add_argument(
        "--tokenizer",
        type=Path,
        help="text-encoder: its tokenizer.json; default: the one beside the network",
    )
    add.add_argument(
        "--context-length", type=int, help="text-encoder: tokens of its input, if no file says it"
    )
    add.add_argument("--pad-token", help="text-encoder: what fills its input up, if no file says")
    add.add_argument(
        "--decoder", choices=["nanodet", "yolox", "ssd"], help="instead of what is recognised"
    )
    add.add_argument("--classes", type=Path, help="class names, one a line")
    add.add_argument("--name", help="default: the file's")
    add.add_argument("--version")
    add.add_argument("--description")
    add.add_argument("--licence")
    add.add_argument("--source")
    add.add_argument("--width", type=int, help="of the network's input; needed when it is dynamic")
    add.add_argument("--height", type=int)
    add.add_argument("--channels", choices=["BGR", "RGB"])
    add.add_argument("--mean", type=float, nargs=3)
    add.add_argument("--scale", type=float, nargs=3, help="input = (pixel - mean) / scale")
    add.add_argument("--resize", choices=["plain", "letterbox"])
    add.add_argument("--strides", type=int, nargs="+")
    add.add_argument("--centre", type=float, help="nanodet: 0.5, or 0 for NanoDet-Plus")
    add.add_argument("--first-label", type=int, help="ssd: the label of the first class")
    add.add_argument("--threshold", type=float)
    add.add_argument("--low-threshold", type=float)
    add.add_argument("--iou-threshold", type=float)
    remove = commands.add_parser("remove", parents=[common])
    remove.set_defaults(run=_remove)
    remove.add_argument("name", help="one of your own models: NAME, or NAME@VERSION")
    remove.add_argument("--check", action="store_true", help="only say whether it could be removed")
    quantize = commands.add_parser("quantize", parents=[common])
    quantize.set_defaults(run=_quantize)
    quantize.add_argument("name", help="one of your own detectors")
    quantize.add_argument("clips", type=Path, nargs="+", metavar="CLIP", help="what it will see")
    quantize.add_argument(
        "--pictures", type=_n_pictures, default=400, help="frames to take of them, 20 to 4000"
    )
    quantize.add_argument("--yes", action="store_true", help="add it without asking")
    return parser


if __name__ == "__main__":
    sys.exit(main())
