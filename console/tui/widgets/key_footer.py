"""Footer with the keys of the focused widget."""

from collections.abc import Iterable
from itertools import zip_longest
from typing import NamedTuple

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

from console.tui.drawing.styled_text import cells

_PALETTE = "-command-palette"


class _Shown(NamedTuple):
    """What the footer says about a key, and what a click on it does."""

    key: str
    display: str
    description: str
    action: str
    is_enabled: bool
    tooltip: str


class _KeyLabel(FooterKey):
    """One key of the footer, which can become another one."""

    def __init__(self, shown: _Shown, classes: str = "") -> None:
        super().__init__(
            shown.key,
            shown.display,
            shown.description,
            shown.action,
            disabled=not shown.is_enabled,
            tooltip=shown.tooltip,
            classes=classes,
        )
        # Textual sets the class after mounting, and computes all styles once more each time.
        self.set_reactive(FooterKey.compact, "-compact" in classes)
        self.shown = shown

    def show(self, shown: _Shown | None) -> None:
        """Become another key, or hide."""
        self.display = shown is not None
        if shown is None or shown == self.shown:
            return
        self.shown = shown
        self.key, self.key_display = shown.key, shown.display
        self.description, self.action = shown.description, shown.action
        self._disabled = not shown.is_enabled
        self.set_class(self._disabled, "-disabled")
        self.tooltip = shown.tooltip or None
        self.refresh(layout=True)


class KeyFooter(Footer):
    """Looks like Textual's, which makes new widgets whenever the focus moves; this one keeps its.

    Keys are not grouped, and only shown as a whole: half a word says nothing.
    """

    def compose(self) -> ComposeResult:
        if not self._bindings_ready:
            return
        keys, palette = self._wanted()
        yield from map(_KeyLabel, keys)
        if palette is not None:
            yield _palette_label(palette)

    def bindings_changed(self, screen: Screen[object]) -> None:
        if not self._bindings_ready:
            super().bindings_changed(screen)
        elif screen.app.app_focus and self.is_attached and screen is self.screen:
            self.call_after_refresh(self._show_bindings)

    async def on_resize(self) -> None:
        if self._bindings_ready:
            await self._show_bindings()

    async def _show_bindings(self) -> None:
        if not self.is_attached or self._pruning:
            return
        keys, palette = self._wanted()
        labels = [one for one in self.children if isinstance(one, _KeyLabel)]
        last = [one for one in labels if one.has_class(_PALETTE)]
        if (palette is None) != (not last):
            await self.recompose()
            return
        for label in last:
            label.show(palette)
        labels = labels[: len(labels) - len(last)]
        for label, shown in zip_longest(labels, keys[: len(labels)]):
            label.show(shown)
        added = [_KeyLabel(shown) for shown in keys[len(labels) :]]
        if added:
            await self.mount_all(added, before=last[0] if last else None)

    def _wanted(self) -> tuple[list[_Shown], _Shown | None]:
        """Return the keys to show, and that of the command palette."""
        active = self.screen.active_bindings
        actions: dict[str, _Shown] = {}
        for _, binding, enabled, tooltip in active.values():
            if binding.show:
                display = self.app.get_key_display(binding)
                shown = _Shown(
                    binding.key, display, binding.description, binding.action, enabled, tooltip
                )
                actions.setdefault(binding.action, shown)
        palette = active.get(self.app.COMMAND_PALETTE_BINDING)
        if palette is None or not self.show_command_palette or not self.app.ENABLE_COMMAND_PALETTE:
            return self._with_room(actions.values()), None
        _, binding, enabled, tooltip = palette
        display, says = self.app.get_key_display(binding), binding.tooltip or binding.description
        last = _Shown(binding.key, display, binding.description, binding.action, enabled, says)
        return self._with_room(actions.values(), last), last

    def _with_room(self, keys: Iterable[_Shown], last: _Shown | None = None) -> list[_Shown]:
        """Return the first keys, as many as fit beside the last one."""
        left = self.size.width - (0 if last is None else _n_cells(last))
        found: list[_Shown] = []
        for key in keys:
            left -= _n_cells(key)
            if left < 0 and self.size.width:  # without a size there was no layout yet
                break
            found.append(key)
        return found


def _n_cells(shown: _Shown) -> int:
    """Return the width of a key's label, with the spaces around its parts."""
    return cells(shown.display) + cells(shown.description) + 3


def _palette_label(shown: _Shown) -> _KeyLabel:
    return _KeyLabel(shown, f"{_PALETTE} -compact")
