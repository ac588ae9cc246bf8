"""Keys are held back until what the key before them does is done."""

from textual.events import Key

from console.tui.ordered_keys import OrderedKeysApp


async def test_keys_that_are_held_when_the_app_is_closed_are_dropped() -> None:
    app = OrderedKeysApp[None]()
    app._sent_s = 0.0
    await app.on_event(Key("a", "a"))
    assert app.is_handling_keys
    await app._send_held()
    assert not app.is_handling_keys
