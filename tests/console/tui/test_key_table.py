"""docs/console.md has every key, as the console's own table of keys has it."""

from pathlib import Path

from console.tui.keys import KEYS, Key, bindings, help_rows

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "console.md"


def table() -> str:
    lines = ["| where | keys | what they do |", "|---|---|---|"]
    for title, keys in KEYS.items():
        for names, does in help_rows(keys):
            shown = " ".join(f"`{name}`" for name in names.split(" "))
            lines.append(f"| {title} | {shown} | {does} |")
    return "\n".join(lines)


def test_the_document_has_the_table_of_keys() -> None:
    wanted = table()
    assert f"\n{wanted}\n\n" in DOCUMENT.read_text(), f"write this into it:\n{wanted}"


def test_no_key_of_a_tab_has_two_actions() -> None:
    for title, keys in KEYS.items():
        # The wall covers the tabs, and the keys of everywhere but ctrl+q.
        others = () if title == "Wall" else KEYS["Everywhere"]
        names = [name for key in (*keys, *others) for name in key.keys.split(",")]
        if title != "Everywhere":
            assert len(names) == len(set(names)), title


def test_keys_are_shown_as_they_are_typed() -> None:
    (bound,) = bindings([Key("left_square_bracket", "resize(-4)", "Narrower", "narrower")])
    assert (bound.key_display, bound.tooltip) == ("[", "narrower")
    rows = help_rows([Key("up,k", "a", "Up", "up, down"), Key("down,j", "b", "Down")])
    assert rows == [("↑ k ↓ j", "up, down")]
