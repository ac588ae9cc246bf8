"""Values of tables as text."""


def share(value: float | None) -> str | None:
    """Format a share of 1 as per cent; None stays None."""
    return None if value is None else f"{value:.0%}"
