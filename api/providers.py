"""Which providers try a task, and in which order: decided at POST, carried in the task."""

LOCAL = "local"


def provider_order(hint: str | None) -> tuple[str, ...]:
    """Return the providers that are to try a task whose routing hint is `hint`, best first.

    The hint is a wish and is echoed in any case: one that names no provider changes nothing.
    """
    del hint
    return (LOCAL,)
