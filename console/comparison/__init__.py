"""Comparison of two tasks by their tracks: a fold over both logs, without I/O.

`fold` reads the frames of both logs side by side, `verdicts` says what became of each track, and
`report` has the result's schema. `rerun` changes a task's request for the second run.
"""
