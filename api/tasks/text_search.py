"""Track search by words: which text encoder makes their vector, and what a text may be."""

import unicodedata

from api.errors import InvalidRequestError
from api.tasks.text_vectors import LIKE_TEXT
from models.errors import UnknownModelError
from models.manifest import Manifest
from models.registry import Registry

MAX_LIKE_TEXT = 512
"""Longest `like_text` in characters: text encoders take less than a hundred words."""


def parse_like_text(text: str) -> str:
    """Return the words with single blanks between them; raises InvalidRequestError."""
    words = " ".join(text.split())
    if not words:
        raise InvalidRequestError.at(LIKE_TEXT, "is empty")
    if len(words) > MAX_LIKE_TEXT:
        raise InvalidRequestError.at(LIKE_TEXT, f"must have at most {MAX_LIKE_TEXT} characters")
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in words):
        raise InvalidRequestError.at(LIKE_TEXT, "must not hold control characters")
    return words


def choose_text_encoder(registry: Registry, like_model: str | None) -> tuple[str, Manifest]:
    """Return a feature model's ref and its text encoder.

    `like_model` names the feature model; None: the only one that has a text encoder. Raises
    InvalidRequestError if there is none, or several and none was named.
    """
    encoders = registry.text_encoders()
    if like_model is None:
        if not encoders:
            raise InvalidRequestError.at(LIKE_TEXT, "no text encoder is added")
        if len(encoders) > 1:
            listed = ", ".join(sorted(encoders))
            raise InvalidRequestError.at(
                "like_model", f"is needed: there are text encoders for {listed}"
            )
        return next(iter(encoders.items()))
    try:
        wanted = registry.resolve(like_model)
    except UnknownModelError as exc:
        listed = ", ".join(sorted(encoders)) or "none"
        message = f"no such model; text encoders are added for: {listed}"
        raise InvalidRequestError.at("like_model", message) from exc
    if wanted.ref not in encoders:
        raise InvalidRequestError.at(LIKE_TEXT, f"no text encoder for model {wanted.ref} is added")
    return wanted.ref, encoders[wanted.ref]
