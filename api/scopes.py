"""What a project's key may do."""

from typing import get_args

from api.contract.resources import Scope

READ: Scope = "read"
SUBMIT: Scope = "submit"
ADMIN_PROJECT: Scope = "admin:project"

SCOPES: tuple[Scope, ...] = get_args(Scope)
DEFAULT: tuple[Scope, ...] = (READ, SUBMIT)
"""Of a key that was made without naming any, in this version or before there were scopes."""


def known_scopes(recorded: tuple[str, ...] | None) -> frozenset[str]:
    """Return the scopes of a key as recorded; None is a key from before there were any."""
    return frozenset(DEFAULT if recorded is None else recorded)
