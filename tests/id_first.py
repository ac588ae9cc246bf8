"""What earlier versions wrote: events whose `id` stands before their `data`.

    python -m tests.id_first ROLE

runs a role of the stream processor that writes so. Logs may have both orders: an earlier version's
worker began them, one of this version went on.
"""

import sys

from streamproc import __main__ as roles
from streamproc.contract import framing


def frame_id_first(data: bytes, start: int) -> bytes:
    """Return the event that carries `data` at byte offset `start`, as an earlier version did."""
    base = start + len(b"id: \ndata: \n\n") + len(data)
    n_digits = len(str(base))
    while len(str(base + n_digits)) != n_digits:
        n_digits += 1
    return b"id: %d\ndata: %b\n\n" % (base + n_digits, data)


if __name__ == "__main__":
    framing.frame_event = frame_id_first  # before a role's modules take it from there
    sys.exit(roles.main())
