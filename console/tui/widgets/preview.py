"""Image of a frame: by the terminal's graphics protocol, else in block characters."""

from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.geometry import Offset, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from console.tui.drawing.frame_image import (
    Shown,
    blocks,
    fitting,
    source_point,
    target_at,
    with_boxes,
)
from console.tui.drawing.styled_text import Line
from console.tui.widgets.canvas import Lines, Wrapped, ink_of

ClickPlace = tuple[Size, Offset]


class BlockPicture(Widget):
    """Image in block characters, four pixels per cell; rendered again on a new image or size."""

    DEFAULT_CSS = "BlockPicture { width: 1fr; height: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self._shown: Shown | None = None
        self._chosen: int | None = None
        self._strips: list[Strip] | None = None

    def show(self, shown: Shown | None, chosen: int | None) -> None:
        self._shown, self._chosen, self._strips = shown, chosen, None
        self.refresh()

    def place_of(self, event: events.Click) -> ClickPlace | None:
        """Return the image's room in cells, and the clicked cell in it; None beside it."""
        at = event.get_content_offset(self)
        return None if at is None else (self.size, at)

    def on_resize(self) -> None:
        self._strips = None

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips = None

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        if self._shown is None or not width or not height:
            return Strip.blank(width, self.rich_style)
        if self._strips is None or len(self._strips) != height:
            colours = ink_of(self).track_colours
            self._strips = blocks(
                self._shown, width, height, colours, self.rich_style, self._chosen
            )
        return self._strips[y]


class PixelPicture(Container):
    """Image in the terminal's graphics protocol (kitty, sixel)."""

    DEFAULT_CSS = """
    PixelPicture { width: 1fr; height: 1fr; align: center middle; }
    PixelPicture > * { width: auto; height: auto; max-width: 100%; max-height: 100%; }
    """

    def __init__(self, image_widget: type[Any]) -> None:
        super().__init__()
        self._image: Any = image_widget()

    def compose(self) -> ComposeResult:
        yield self._image

    def place_of(self, event: events.Click) -> ClickPlace | None:
        """As of `BlockPicture`; the image's widget has exactly the image's size."""
        at = event.get_content_offset(self._image)
        return None if at is None else (self._image.content_size, at)

    def show(self, shown: Shown | None, chosen: int | None) -> None:
        colours = ink_of(self).track_colours
        self._image.image = None if shown is None else with_boxes(shown, colours, chosen)


class Preview(Container):
    """An image, or a text with the reason why there is none."""

    DEFAULT_CSS = """
    Preview { align: center middle; background: $surface;
        & > .preview-note { display: none; width: auto; max-width: 90%; }
        & > .preview-caption { dock: bottom; width: 1fr; padding: 0 1; }
        &.-empty > .preview-note { display: block; }
        &.-empty > BlockPicture, &.-empty > PixelPicture { display: none; }
    }
    """

    class TargetClicked(Message):
        """The box of a track was clicked, in the picture of `frame`."""

        def __init__(self, frame: int, track_id: int) -> None:
            super().__init__()
            self.frame = frame
            self.track_id = track_id

    def __init__(self, *, image_widget: type[Any] | None, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, classes="-empty")
        self._note = Wrapped(classes="preview-note")
        self._caption = Lines(classes="preview-caption")
        self._picture = BlockPicture() if image_widget is None else PixelPicture(image_widget)
        self._shown: Shown | None = None
        self._chosen: int | None = None
        self._text = ""

    def compose(self) -> ComposeResult:
        yield self._note
        yield self._picture
        yield self._caption

    @property
    def shown(self) -> Shown | None:
        return self._shown

    @property
    def text(self) -> str:
        """The text that is shown instead of an image; empty beside one."""
        return self._text

    def show(self, shown: Shown, chosen: int | None = None) -> None:
        """Show this frame; if a track is chosen, only its box is coloured."""
        self._shown, self._chosen, self._text = shown, chosen, ""
        self.remove_class("-empty")
        self._picture.show(shown, chosen)

    def on_click(self, event: events.Click) -> None:
        """Tell which target's box was clicked."""
        shown = self._shown
        place = None if shown is None else self._picture.place_of(event)
        if shown is None or place is None:
            return
        cells, at = place
        point = source_point((shown.width_px, shown.height_px), cells, at)
        if point is None:
            return
        width, _ = fitting(shown.width_px, shown.height_px, *cells)
        target = target_at(shown.targets, *point, slack_px=shown.width_px / width / 2)
        if target is not None:
            event.stop()
            self.post_message(self.TargetClicked(shown.frame, target.track_id))

    def choose(self, track: int | None) -> None:
        if self._shown is not None and track != self._chosen:
            self.show(self._shown, track)

    def say(self, text: str) -> None:
        """Show a text instead of an image."""
        self._shown, self._text = None, text
        self._picture.show(None, None)
        self._note.styles.width = len(text)
        self._note.show([((text, "dim"),)])
        self.add_class("-empty")

    def say_below(self, line: Line) -> None:
        """Show a line below the image; an empty one takes no room."""
        self._caption.show([line] if line else [])
