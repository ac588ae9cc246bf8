"""What a text encoder's files say of it: the length of its input, its padding, its vector.

The network and the tokenizer have to fit each other and the feature model whose pictures the words
find. What no file says is asked of a person, never guessed.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from models.errors import InvalidManifestError, InvalidModelFileError
from models.manifest import MAX_CONTEXT, Manifest, TextOptions
from models.registry import Registry
from models.text_network import TextNetwork
from models.text_tokens import MAX_TOKENIZER_BYTES, TextTokens

_MAX_CONFIG_BYTES = 16 * 1024 * 1024
_PROJECTED_LATER = frozenset({"clip", "clip_text_model"})
"""Families whose `pooler_output` is not yet in the space of the pictures."""


class TextWishes(NamedTuple):
    """What a person stated of a text encoder; None: as the files say."""

    feature_model: Manifest
    context_length: int | None = None
    pad_token: str | None = None


class TextDescription(NamedTuple):
    """A text encoder's input, and the output that is its vector."""

    options: TextOptions
    output: int
    output_name: str


def pictures_of(registry: Registry, name: str | None) -> Manifest:
    """Return the feature model whose pictures a new text encoder finds.

    Raises UnknownModelError, or InvalidManifestError if it is none or has a text encoder already.
    """
    if name is None:
        raise InvalidManifestError("whose pictures do the words find? State --for FEATURE_MODEL")
    paired = registry.resolve(name)
    if paired.kind != "feature":
        raise InvalidManifestError(f"{paired.ref} is no feature model: it has no vectors")
    other = registry.text_encoders().get(paired.ref)
    if other is not None:
        raise InvalidManifestError(f"{paired.ref} has a text encoder, {other.ref}: remove it first")
    return paired


def tokenizer_of(network: Path, stated: Path | None) -> Path:
    """Return the tokenizer file: the stated one, or the one beside the network.

    Raises InvalidModelFileError if there is none, or if it is too large.
    """
    path = stated or network.parent / "tokenizer.json"
    try:
        size_bytes = path.stat().st_size
    except OSError as exc:
        raise InvalidModelFileError(f"no tokenizer at {path}: state --tokenizer FILE") from exc
    if size_bytes > MAX_TOKENIZER_BYTES:
        raise InvalidModelFileError(f"{path} has more than {MAX_TOKENIZER_BYTES >> 20} MiB")
    return path


def describe_text(
    network: Path, content: bytes, weights: bytes, tokenizer: Path, wanted: TextWishes
) -> TextDescription:
    """Describe a text encoder; files beside its network and tokenizer may say what these do not.

    Raises InvalidModelFileError if the files do not fit each other or the feature model, or leave
    something open, with the option that settles it; InvalidManifestError if an option is wrong.
    """
    tokens = TextTokens(tokenizer.name, tokenizer.read_bytes())
    graph = TextNetwork(network.name, content, weights)
    beside = _json(tokenizer.with_name("tokenizer_config.json"))
    length = _context_length(graph, tokens, beside, wanted.context_length)
    pad_id = _pad_id(graph, tokens, beside, wanted.pad_token)
    n_known = graph.n_tokens
    if n_known is not None and max(tokens.max_id, pad_id) >= n_known:
        raise InvalidModelFileError(
            f"{tokenizer.name} has ids up to {max(tokens.max_id, pad_id)}, "
            f"{network.name} knows {n_known} tokens"
        )
    output, dimensions = graph.fix(length)
    name = graph.output_name(output)
    family = _json(network.with_name("config.json")).get("model_type")
    if name == "pooler_output" and family in _PROJECTED_LATER:
        raise InvalidModelFileError(
            f"{network.name}: its pooler_output is not projected: export the text tower with its"
            " projection (text_embeds)"
        )
    paired = wanted.feature_model
    if dimensions != paired.dimensions:
        raise InvalidModelFileError(
            f"{network.name} gives {dimensions} numbers, {paired.ref} gives {paired.dimensions}:"
            " they are of different models"
        )
    options = TextOptions(feature_model=paired.ref, context_length=length, pad_id=pad_id)
    return TextDescription(options, output, name)


def _context_length(
    graph: TextNetwork, tokens: TextTokens, beside: dict[str, Any], stated: int | None
) -> int:
    fixed = graph.context_length
    if stated is not None and fixed is not None and stated != fixed:
        raise InvalidManifestError(f"{graph.name} takes {fixed} tokens, not {stated}")
    told = beside.get("model_max_length")
    # Without a limit, Hugging Face's files have a number of thirty digits.
    usual = told if isinstance(told, int) and 0 < told <= MAX_CONTEXT else None
    length = stated or fixed or tokens.context_length or usual
    if length is None:
        raise InvalidModelFileError(
            f"{graph.name} takes any number of tokens: state --context-length (CLIP has 77)"
        )
    if not 0 < length <= MAX_CONTEXT:
        raise InvalidModelFileError(f"a context of {length} tokens: the limit is {MAX_CONTEXT}")
    return length


def _pad_id(
    graph: TextNetwork, tokens: TextTokens, beside: dict[str, Any], stated: str | None
) -> int:
    if stated is not None:
        found = tokens.id_of(stated)
        if found is None:
            raise InvalidManifestError(f"the tokenizer has no token {stated!r}")
        return found
    if tokens.pad_id is not None:
        return tokens.pad_id
    told = beside.get("pad_token")
    token = told.get("content") if isinstance(told, dict) else told
    known = tokens.id_of(token) if isinstance(token, str) else None
    if known is not None:
        return known
    if graph.is_masked:
        return 0  # the network is told to ignore it
    raise InvalidModelFileError("the tokenizer does not say how it pads: state --pad-token TOKEN")


def _json(path: Path) -> dict[str, Any]:
    """The object in a small file; empty if there is none."""
    try:
        if path.stat().st_size > _MAX_CONFIG_BYTES:
            return {}
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
