"""`framewire completion`: scripts that make a shell complete commands, files, tasks and classes."""

import click

from console.cli.completion_scripts import SHELLS
from console.cli.main import COMPLETE_VARIABLE, cli
from console.cli.terminal import Terminal


@click.command
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.option("--json", "as_json", is_flag=True, help="Print the script in a JSON object.")
def completion(shell: str, *, as_json: bool) -> None:
    """Print the script that makes a shell complete `framewire`.

    It completes commands, options, files, and what the api knows: tasks, classes, models.

    \b
    bash  in ~/.bashrc: eval "$(framewire completion bash)"
    zsh   in ~/.zshrc, after compinit: eval "$(framewire completion zsh)"
    fish  framewire completion fish > ~/.config/fish/completions/framewire.fish
    """  # noqa: D301 - click's mark of lines to keep
    script = SHELLS[shell](cli, {}, "framewire", COMPLETE_VARIABLE)
    text = script.source_template % script.source_vars()
    if as_json:
        Terminal(as_json=True).show({"shell": shell, "script": text})
    else:
        click.echo(text)
