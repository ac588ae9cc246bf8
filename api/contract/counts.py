"""How many rows a list has."""

import msgspec
from msgspec import UNSET, UnsetType


class Counts(msgspec.Struct, frozen=True):
    """Numbers of rows of a list: those that match its filters, and all of the project.

    `is_capped`: true or absent; true if one of the numbers is larger than the limit it shows.
    """

    matching: int
    all: int
    is_capped: bool | UnsetType = UNSET
