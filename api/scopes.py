"""Scopes of API keys: what a project's key may do."""

from typing import get_args

from api.contract.projects import Scope

READ: Scope = "read"
SUBMIT: Scope = "submit"
ADMIN_PROJECT: Scope = "admin:project"

SCOPES: tuple[Scope, ...] = get_args(Scope)
DEFAULT: tuple[Scope, ...] = (READ, SUBMIT)
"""The scopes of a key that was created without any, now or before scopes existed."""


def known_scopes(recorded: tuple[str, ...] | None) -> frozenset[str]:
    """Return a key's recorded scopes; None means a key from before scopes existed."""
    return frozenset(DEFAULT if recorded is None else recorded)
