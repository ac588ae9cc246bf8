"""Textual application that handles one key after the other, in the order in which they are typed.

Textual sends a key to the focused widget, from where it bubbles up to the app. Meanwhile it sends
the next key, to the widget that has the focus at that moment. If the first key moves the focus or
opens a dialog, keys that are typed quickly, or arrive together over a slow connection, would act on
what was shown before: letters after `/` as commands, an action on the row before the cursor's.
"""

from collections import deque
from typing import TypeVar

from textual import events
from textual.app import App
from textual.message import Message
from textual.widget import Widget

Result = TypeVar("Result")

_LAPS = 3
"""Laps of the marker: behind the key, behind the message that the key's action posts (a row was
chosen), and behind the one that this message's handler posts (open the task)."""
_CHECK_S = 0.05
_LOST_CHECKS = 100
"""A marker that is away for more checks, 5 s, is not awaited: no fault may switch the keyboard off.
Checks are counted, not seconds: a process that gets no processor time does not lose the marker."""


class KeyMarker(Message):
    """Follows a key from the focused widget up to the app, through the same queues."""

    def __init__(self, lap: int, number: int) -> None:
        super().__init__()
        self.lap = lap
        self.number = number


class OrderedKeysApp(App[Result]):
    """Holds a key, or pasted text, back until everything that the key before it does is done."""

    def __init__(self) -> None:
        super().__init__()
        self._held_keys: deque[events.Key | events.Paste] = deque()
        self._number = 0
        self._n_checks: int | None = None
        """How often the marker of the key that is under way was missed; None: no key is."""
        self._marked: Widget | None = None
        """The widget that the marker was sent to."""
        self._is_watched = False
        self._has_typed = False
        """Text was sent to an input that may still wait for it in its queue."""

    @property
    def is_handling_keys(self) -> bool:
        """Whether a key is under way or waits for the one before it."""
        return self._n_checks is not None or bool(self._held_keys)

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
        elif self._n_checks is not None:
            self._held_keys.append(event)
        else:
            await self._send(event)

    async def on_key_marker(self, message: KeyMarker) -> None:
        message.stop()
        if message.number != self._number:
            return
        if message.lap < _LAPS and self._mark(message.lap + 1):
            return
        await self._send_held()

    async def _send(self, event: events.Key | events.Paste) -> None:
        if not self._screen_stack:  # the app is being closed
            self._held_keys.clear()
            return
        target = self.focused
        is_text = (
            isinstance(event, events.Key)
            and target is not None
            and target.check_consume_key(event.key, event.character)
        )
        self._number += 1
        self._n_checks = None if is_text else 0
        if self._has_typed and not is_text:
            # A key that a dialog takes before its input does would act on half of the text.
            self._has_typed = False
            if self._mark(1):
                self._held_keys.appendleft(event)
                return
        await super().on_event(event)
        # Text goes to the one queue of its input, in order; only other keys have to be awaited.
        if is_text:
            self._has_typed = True
        elif not self._mark(1):
            await self._send_held()

    async def _send_held(self) -> None:
        self._n_checks = None
        while self._held_keys and self._n_checks is None:
            await self._send(self._held_keys.popleft())

    async def _check_marker(self) -> None:
        """Stop to wait for a marker that was lost: its widget was removed, with a closed dialog."""
        if self._n_checks is None:
            self._is_watched = False
            return
        self._n_checks += 1
        is_late = self._n_checks > _LOST_CHECKS
        if is_late or self._marked is None or not self._marked.is_attached:
            self._number += 1
            if is_late or not self._mark(1):
                await self._send_held()
        self.set_timer(_CHECK_S, self._check_marker)

    def _mark(self, lap: int) -> bool:
        """Send a marker; False if the widget that would take it is being closed."""
        self._marked = (self.focused or self.screen) if self._screen_stack else None
        if not self._is_watched:
            self._is_watched = True
            self.set_timer(_CHECK_S, self._check_marker)
        marker = KeyMarker(lap, self._number)
        return self._marked is not None and self._marked.post_message(marker)
