"""Figures that the documentation names: each module prints its own, as a ratio or a score.

`python -m benchmarks` runs them one after another, says what was not measured and why, and fails
only when one fails. `suite` does that, `report` is what a benchmark says of what is missing,
`stack` and `log_stack` are what they measure, `clip` makes a clip long enough.
"""
