"""`framewire models add` and `quantize`: a user's own models, by `python -m models`.

The options are those of `python -m models`, which checks their values; a test compares the two.
"""

import os
from pathlib import Path

import click
from click.core import ParameterSource

from console.cli.completion import complete_model
from console.cli.program import run_program
from console.exit_codes import ExitCode
from console.stack.data_directory import DataDirectory, default_data_dir
from console.stack.installed import need_server
from streamproc.contract import env

_SIDE = click.IntRange(1)
_SHARE = click.FloatRange(0, 1)
_JSON = click.option("--json", is_flag=True, help="Print JSON.")


class Whole(click.ParamType):
    """Whole numbers, separated by commas."""

    name = "N,N"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[int]:
        try:
            return [int(text) for text in value.split(",")]
        except ValueError:
            self.fail(f"{value!r} is not a list of whole numbers: 8,16,32", param, ctx)


@click.command
@click.argument("network", type=click.Path(path_type=Path))
@click.option(
    "--kind",
    type=click.Choice(["detect", "feature", "text-encoder"]),
    help="What it is; feature: a network of feature vectors; text-encoder: words that find their"
    " pictures.  [default: detect]",
)
@click.option(
    "--for",
    "feature_model",
    metavar="MODEL",
    shell_complete=complete_model,
    help="text-encoder: the feature model whose pictures it finds.",
)
@click.option(
    "--tokenizer",
    type=click.Path(path_type=Path),
    help="text-encoder: its tokenizer.json; by default the one beside the network.",
)
@click.option(
    "--context-length",
    type=click.IntRange(1),
    help="text-encoder: tokens of its input, if no file says it.",
)
@click.option("--pad-token", help="text-encoder: what fills its input up, if no file says it.")
@click.option(
    "--decoder",
    type=click.Choice(["nanodet", "yolox", "ssd"]),
    help="What its outputs mean, instead of what is recognised.",
)
@click.option(
    "--classes", type=click.Path(path_type=Path), help="File with the class names, one a line."
)
@click.option("--name", help="Name of the model; by default the file's.")
@click.option("--version", help="Version of the model.")
@click.option("--description", help="What it is for, as `framewire models list` shows it.")
@click.option("--licence", help="Licence of the network.")
@click.option("--source", help="Where the network comes from.")
@click.option("--width", type=_SIDE, help="Width of the input; needed when it is dynamic.")
@click.option("--height", type=_SIDE, help="Height of the input; needed when it is dynamic.")
@click.option("--channels", type=click.Choice(["BGR", "RGB"]), help="Order of the channels.")
@click.option("--mean", type=float, nargs=3, help="input = (pixel - mean) / scale, by channel.")
@click.option("--scale", type=float, nargs=3, help="input = (pixel - mean) / scale, by channel.")
@click.option(
    "--resize", type=click.Choice(["plain", "letterbox"]), help="How frames get the input's size."
)
@click.option("--strides", type=Whole(), help="Strides of the grids (nanodet, yolox): 8,16,32.")
@click.option("--centre", type=float, help="nanodet: 0.5, or 0 for NanoDet-Plus.")
@click.option("--first-label", type=int, help="ssd: the label of the first class.")
@click.option("--threshold", type=_SHARE, help="Confidence from which a detection counts.")
@click.option("--low-threshold", type=_SHARE, help="Confidence that continues a track.")
@click.option("--iou-threshold", type=_SHARE, help="Overlap from which two boxes are one object.")
@_JSON
def add(**_options: object) -> ExitCode:
    """Import a model (ONNX or OpenVINO IR) to this machine's models.

    NETWORK is a file, or a directory with one in it. What its outputs mean and its class names are
    recognised; the options say what is not. It is copied to FRAMEWIRE_MODELS, else to the data
    directory of the local stack; running processes find it there.
    """
    return _run("add")


@click.command
@click.argument("name", shell_complete=complete_model)
@click.argument(
    "clips", metavar="CLIP...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--pictures", type=click.IntRange(20, 4000), default=400, show_default=True,
    help="Frames to take of the clips.",
)  # fmt: skip
@click.option("--yes", is_flag=True, help="Add it without asking.")
@_JSON
def quantize(**_options: object) -> ExitCode:
    """Add an 8-bit network to NAME, one of your own detectors.

    First it shows what changes on the clips. It needs NNCF: pip install 'framewire[quantize]'.
    """
    return _run("quantize")


def _run(action: str) -> ExitCode:
    """Run an action of `python -m models` with what was typed for this command."""
    need_server()
    arguments, options = _typed(click.get_current_context())
    words = [action, *arguments, *options, "--dir", str(own_models())]
    return run_program("models", words, as_json="--json" in options)


def own_models() -> Path:
    """Return the directory of this machine's own models."""
    named = os.environ.get(env.MODELS)
    return Path(named) if named else DataDirectory(default_data_dir(os.environ)).models


def _typed(context: click.Context) -> tuple[list[str], list[str]]:
    """Return the arguments and the options that were given, as words."""
    arguments: list[str] = []
    options: list[str] = []
    for param in context.command.params:
        name = str(param.name)
        if context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value = context.params[name]
        values = [str(one) for one in (value if isinstance(value, list | tuple) else [value])]
        if isinstance(param, click.Argument):
            arguments += values
        elif isinstance(value, bool):
            options.append(param.opts[0])
        else:
            options += [param.opts[0], *values]
    return arguments, options
