"""Figures of live sources on a whole stack: what a fault costs, beside what it may cost.

    python -m tests.live.faults kill stall cancel

Each name (`--list`) runs `framewire up` and the test camera and prints one line a figure:
what was measured, what is asked, and whether that holds. The exit code is 1 if one does not.
"""
