"""Tokenizer of a text encoder: a `tokenizer.json` of Hugging Face's library `tokenizers`."""

import json
from collections.abc import Iterator
from functools import reduce
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from models.errors import InvalidModelFileError, MissingExtraError, UnusableTextError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_TOKENIZER_BYTES = 64 * 1024 * 1024
"""The largest that are in use, of a quarter of a million tokens, have half of that."""
_SAMPLES = ("a photo of a red truck", "a photo of a white dog", "a person with a blue bag")
_MAX_SAMPLES = 1000
_MARKS = ("</w>", "##", "\u2581", "\u0120")
"""What vocabularies add to words: their ends, their continuations, the blanks before them."""


class Tokens(NamedTuple):
    """Token ids of a text, and 1 for each that is not padding."""

    ids: list[int]
    mask: list[int]


class TextTokens:
    """A tokenizer. Raises InvalidModelFileError if it cannot be read, MissingExtraError."""

    def __init__(self, name: str, content: bytes) -> None:
        self._name = name
        self._tokenizer = _read(name, content)
        self._tokenizer.encode_special_tokens = True  # a text's `</s>` is text, and ends nothing
        self._unknown = _unknown_id(self._tokenizer, content)

    @property
    def context_length(self) -> int | None:
        """The length to which it cuts or fills up texts by itself; None if it does not say."""
        cut, filled = self._tokenizer.truncation, self._tokenizer.padding
        length = (filled or {}).get("length") or (cut or {}).get("max_length")
        return None if length is None else int(length)

    @property
    def pad_id(self) -> int | None:
        """The id with which it fills up texts by itself; None if it does not say."""
        filled = self._tokenizer.padding
        return None if filled is None else int(filled["pad_id"])

    @property
    def max_id(self) -> int:
        """The highest id of its vocabulary."""
        return max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=0)

    def id_of(self, token: str) -> int | None:
        """The id of a token; None if the vocabulary has no such token."""
        found: int | None = self._tokenizer.token_to_id(token)
        return found

    def fix(self, context_length: int, pad_id: int) -> None:
        """From now on, cut or fill up each text to this length.

        Raises InvalidModelFileError if its special tokens leave no room for a word.
        """
        n_special = self._tokenizer.num_special_tokens_to_add(is_pair=False)
        if n_special >= context_length:
            raise InvalidModelFileError(
                f"{self._name} adds {n_special} tokens to each text: {context_length} are too few"
            )
        direction = (self._tokenizer.padding or {}).get("direction", "right")
        token = self._tokenizer.id_to_token(pad_id) or ""
        self._tokenizer.enable_truncation(max_length=context_length)
        self._tokenizer.enable_padding(
            direction=direction, pad_id=pad_id, pad_token=token, length=context_length
        )

    def encode(self, text: str) -> Tokens:
        """The tokens of a text, cut or filled up to the fixed length.

        Raises UnusableTextError if none of its words is known.
        """
        try:
            found = self._tokenizer.encode(text)
        except Exception as exc:  # the library raises just that
            raise UnusableTextError(f"{self._name} cannot read this text") from exc
        pairs = zip(found.ids, found.special_tokens_mask, strict=True)
        if not any(id_ != self._unknown for id_, is_special in pairs if not is_special):
            raise UnusableTextError(f"{self._name} knows no word of this text")
        return Tokens(found.ids, found.attention_mask)

    def samples(self) -> Iterator[Tokens]:
        """Texts to try a network with: of everyday words, then of the vocabulary's own."""
        for text in chain(_SAMPLES, self._vocabulary()):
            try:
                yield self.encode(text)
            except UnusableTextError:
                continue

    def _vocabulary(self) -> Iterator[str]:
        """The first words of the vocabulary, by their ids, without the marks of parts of words."""
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=False)
        for word in sorted(vocabulary, key=vocabulary.__getitem__)[:_MAX_SAMPLES]:
            yield reduce(lambda text, mark: text.replace(mark, ""), _MARKS, word)


def _read(name: str, content: bytes) -> "Tokenizer":
    try:
        from tokenizers import Tokenizer  # noqa: PLC0415  # an optional dependency
    except ImportError as exc:
        raise MissingExtraError(
            "text encoders need the library tokenizers: pip install 'framewire[text-encoder]'"
        ) from exc
    if len(content) > MAX_TOKENIZER_BYTES:
        raise InvalidModelFileError(f"{name} has more than {MAX_TOKENIZER_BYTES >> 20} MiB")
    try:
        return Tokenizer.from_buffer(content)
    except Exception as exc:  # as above
        raise InvalidModelFileError(f"{name} is no tokenizer.json: {exc}") from exc


def _unknown_id(tokenizer: "Tokenizer", content: bytes) -> int | None:
    """The id of what the vocabulary lacks; None if its model has no such token."""
    if hasattr(tokenizer.model, "unk_token"):
        token = tokenizer.model.unk_token
        return None if token is None else tokenizer.token_to_id(token)
    found = json.loads(content)["model"].get("unk_id")  # the library does not tell that of Unigram
    return found if isinstance(found, int) else None
