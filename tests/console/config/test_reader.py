"""`console.toml`: typed, bounded; what is wrong is told with its line and ignored."""

import random
from pathlib import Path

import pytest

from console.config.reader import MAX_BYTES, MAX_NAMED, config_path, read_config
from console.config.toml_text import line_of
from console.config.values import Config, Context, View
from console.tui.known_names import KNOWN

WHOLE = """\
# mine
theme = "framewire-light"
notify = true

[keys]
"tasks.cancel" = "ctrl+k, f9"

[columns]
tasks = ["source", "status"]

[views.gate]
query = "source:gate*"
status = ["failed"]
window = "24 h"
sort = "-fps"

[contexts.prod]
url = "https://video.example.com/"
key_env = "PROD_KEY"
project = "gates"

[contexts.vault]
url = "https://other.example.com"
key_command = ["pass", "show", "framewire"]
"""


def read(tmp_path: Path, text: str, mode: int = 0o600) -> Config:
    path = tmp_path / "console.toml"
    path.write_text(text)
    path.chmod(mode)
    return read_config(path, KNOWN)


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    config = read(tmp_path, WHOLE)
    assert config == Config(
        theme="framewire-light",
        notify=True,
        keys={"tasks.cancel": "ctrl+k,f9"},
        columns={"tasks": ("source", "status")},
        views={"gate": View(query="source:gate*", status=("failed",), window="24 h", sort="-fps")},
        contexts={
            "prod": Context(
                name="prod",
                url="https://video.example.com",
                key_env="PROD_KEY",
                project="gates",
            ),
            "vault": Context(
                name="vault",
                url="https://other.example.com",
                key_command=("pass", "show", "framewire"),
            ),
        },
    )


def test_no_file_is_no_fault(tmp_path: Path) -> None:
    assert read_config(tmp_path / "console.toml", KNOWN) == Config()


def test_the_command_line_reads_the_contexts_alone(tmp_path: Path) -> None:
    read(tmp_path, 'theme = "no-such"\n' + WHOLE.replace('theme = "framewire-light"', ""))
    config = read_config(tmp_path / "console.toml")
    assert set(config.contexts) == {"prod", "vault"}
    assert not config.faults
    assert not config.views


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('thema = "x"', "line 3, thema: there is no setting 'thema'; did you mean 'theme'?"),
        ('theme = "framewire-drak"', "line 3, theme: there is no 'framewire-drak'; did you mean"),
        ('bell = "yes"', "line 3, bell: this has to be true or false"),
        ("theme = 3", "line 3, theme: this has to be a text"),
        ('keys = "c"', "line 3, keys: this has to be a table: [keys]"),
        ('keys."tasks.cancl" = "c"', "line 3, keys.tasks.cancl: there is no action"),
        ('keys."tasks.cancel" = "ctrl k"', "line 3, keys.tasks.cancel: 'ctrl k' is not a key"),
        ('columns.tasks = ["satus"]', "line 3, columns.tasks: there is no 'satus'; did you mean"),
        ('columns.tasks = "status"', "line 3, columns.tasks: this has to be a list of texts"),
        ("columns.tasks = [1]", "line 3, columns.tasks: this has to be a list of texts"),
        ('[views.a]\nsort = "sped"', "line 4, views.a.sort: there is no sort key 'sped'"),
        ('[views.a]\ntab = "live"', "line 4, views.a.tab: there is no 'live'"),
        ('[views.a]\nwindow = "2 h"', "line 4, views.a.window: there is no '2 h'"),
        ('[views."a b"]\nquery = "x"', "line 3, views.a b: a name has 1 to 40 letters"),
        ("[views.a]\nquery = 1", "line 4, views.a.query: this has to be a text"),
        ("views.a = 1", "line 3, views.a: this has to be a table: [views.a]"),
        ("[contexts.a]\n", "line 3, contexts.a: the context's url is needed"),
        ('[contexts.a]\nurl = "ftp://x"', "line 4, contexts.a.url: the context's url is no http"),
        ('[contexts.a]\nurl = "http://u:p@x"', "line 4, contexts.a.url: the context's url is no"),
        ('[contexts.a]\nurl = "http://x:99999"', "line 4, contexts.a.url: the context's url is no"),
        (
            '[contexts.a]\nurl = "http://x"\nkey_env = "fw_abc-def"',
            "line 5, contexts.a.key_env: this is no name of a variable",
        ),
        (
            '[contexts.a]\nurl = "http://x"\nkey_env = "A"\nkey = "b"',
            "line 3, contexts.a: one of key_env, key_command and key is enough",
        ),
        (
            '[contexts.a]\nurl = "http://x"\nkay = "b"',
            "line 5, contexts.a.kay: there is no setting 'kay'; did you mean 'key'?",
        ),
    ],
)
def test_a_fault_is_told_by_its_line_and_the_rest_is_read(
    tmp_path: Path, line: str, fault: str
) -> None:
    rest = '[contexts.good]\nurl = "http://good"\n'
    config = read(tmp_path, f"# one\n# two\n{line}\n{rest}")
    (told,) = config.faults
    assert told.startswith(f"console.toml {fault}")
    assert config.contexts["good"].url == "http://good"


def test_a_key_in_a_file_that_others_can_read_is_not_used_and_never_shown(tmp_path: Path) -> None:
    text = '[contexts.a]\nurl = "http://x"\nkey = "fw_secret"\n'
    config = read(tmp_path, text, 0o644)
    (fault,) = config.faults
    assert "line 3" in fault
    assert "chmod 600" in fault
    assert not config.contexts
    config = read(tmp_path, text)
    assert config.contexts["a"].key == "fw_secret"
    assert "fw_secret" not in f"{config!r}{fault}"


def test_a_file_that_is_too_large_or_no_toml_is_ignored_as_a_whole(tmp_path: Path) -> None:
    (fault,) = read(tmp_path, "#" * (MAX_BYTES + 1)).faults
    assert f"larger than {MAX_BYTES} bytes" in fault
    (fault,) = read(tmp_path, "theme = \n").faults
    assert "line 1" in fault
    (tmp_path / "console.toml").write_bytes(b"theme = '\xff'")
    assert len(read_config(tmp_path / "console.toml", KNOWN).faults) == 1
    assert len(read_config(tmp_path, KNOWN).faults) == 1  # a directory


def test_names_are_bounded_in_number(tmp_path: Path) -> None:
    text = "".join(f'[views.v{n}]\nquery = "x"\n' for n in range(MAX_NAMED + 5))
    config = read(tmp_path, text)
    assert len(config.views) == MAX_NAMED
    assert len(config.faults) == 1


def test_random_damage_never_raises(tmp_path: Path) -> None:
    rng = random.Random(11)
    for _ in range(400):
        data = list(WHOLE)
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(data))
            data[at : at + rng.randint(0, 3)] = rng.choice(['"', "[", "]", "=", "1", "\n", "{", ""])
        config = read(tmp_path, "".join(data))
        assert len(config.faults) <= 21
        assert all("\n" not in fault for fault in config.faults)


def test_the_line_of_a_value_is_found_in_all_spellings() -> None:
    text = 'a = 1\n[b]\nc = 2\n"d.e" = 3\n[b.f]\ng = { h = 1 }\n[ "b" . "i" ]\nj.k = 1\n'
    places = {("a",): 1, ("b", "c"): 3, ("b", "d.e"): 4, ("b", "f"): 5, ("b", "i", "j", "k"): 8}
    for path, line in places.items():
        assert line_of(text, path) == line
    assert line_of(text, ("b", "f", "g", "h")) == 6
    assert line_of(text, ("nowhere",)) == 1


def test_the_file_is_where_xdg_has_it() -> None:
    assert config_path({"XDG_CONFIG_HOME": "/x"}) == Path("/x/framewire/console.toml")
    assert config_path({}) == Path.home() / ".config/framewire/console.toml"
