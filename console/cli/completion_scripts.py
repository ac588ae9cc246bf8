"""Shell scripts for completion: click's own, corrected for values with spaces and commas."""

import re

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

_SPECIAL = re.compile(r"([\s'\"\\()&;|<>$`!*?\[\]{}#~])")


class Bash(BashComplete):
    """Bash puts a value on the command line as it is, so a space in it is escaped here."""

    source_template = BashComplete.source_template.replace("read type", "read -r type")

    def format_completion(self, item: CompletionItem) -> str:
        if item.type == "plain":
            return "plain," + _SPECIAL.sub(r"\\\1", str(item.value))
        return super().format_completion(item)


class Fish(FishComplete):
    """Fish gets a whole value although it has commas."""

    source_template = FishComplete.source_template.replace(
        'string split ","', 'string split --max 1 ","'
    )


SHELLS: dict[str, type[ShellComplete]] = {"bash": Bash, "zsh": ZshComplete, "fish": Fish}


def register() -> None:
    """Let click use these scripts instead of its own."""
    for shell in SHELLS.values():
        add_completion_class(shell)
