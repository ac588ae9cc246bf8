"""Sequences for the terminal behind a multiplexer: tmux and GNU screen take all for themselves."""

from collections.abc import Mapping

_SCREEN_PIECE = 256


def is_in_tmux(environ: Mapping[str, str]) -> bool:
    return "TMUX" in environ or environ.get("TERM", "").startswith("tmux")


def passed_through(sequence: str, environ: Mapping[str, str]) -> str:
    """Return the sequence wrapped (DCS) so that the multiplexer, if there is one, passes it on.

    The sequence must not contain ST (ESC and a backslash): it would end GNU screen's wrapping.
    tmux 3.3 and later pass it on if `allow-passthrough` is on.
    """
    if is_in_tmux(environ):
        escaped = sequence.replace("\x1b", "\x1b\x1b")
        return f"\x1bPtmux;{escaped}\x1b\\"
    if "STY" in environ:
        pieces = (
            sequence[at : at + _SCREEN_PIECE] for at in range(0, len(sequence), _SCREEN_PIECE)
        )
        return "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)
    return sequence
