"""File picker dialog for local videos."""

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import DirectoryTree, Label

from console.tui.screens.dialog import Dialog

VIDEO_SUFFIXES = frozenset(
    {
        ".mp4",
        ".m4v",
        ".mov",
        ".avi",
        ".mkv",
        ".webm",
        ".mpg",
        ".mpeg",
        ".ts",
        ".flv",
        ".wmv",
        ".3gp",
    }
)


class VideoTree(DirectoryTree):
    """Directory tree of folders and videos, without hidden ones."""

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        return [
            path
            for path in paths
            if not path.name.startswith(".")
            and (path.is_dir() or path.suffix.lower() in VIDEO_SUFFIXES)
        ]


class PickFileScreen(Dialog[Path | None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Cancel"),
        Binding("backspace", "up", "Folder above"),
    ]

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog-box -tall"):
            yield Label("Choose a video (enter; backspace: folder above)", classes="dialog-title")
            yield VideoTree(self._folder, id="video-tree")

    def on_directory_tree_file_selected(self, message: DirectoryTree.FileSelected) -> None:
        self.dismiss(message.path)

    def action_up(self) -> None:
        tree = self.query_one(VideoTree)
        tree.path = Path(tree.path).resolve().parent

    def action_leave(self) -> None:
        self.dismiss(None)
