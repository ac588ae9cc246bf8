"""Text encoder: the vector of a few words, to be compared with the vectors of pictures."""

import numpy as np

from models.errors import InferenceError, InvalidManifestError, InvalidModelFileError
from models.manifest import Manifest
from models.text_network import TextNetwork
from models.text_tokens import TextTokens, Tokens
from models.types import Floats


class TextEncoder:
    """Text encoder of one model, compiled at once. For one thread at a time."""

    def __init__(self, manifest: Manifest) -> None:
        """Raises InvalidModelFileError if a file was changed or does not fit the manifest."""
        options = manifest.text
        if manifest.kind != "text-encoder" or options is None:
            raise InvalidManifestError(f"{manifest.ref} is no text encoder")
        self.manifest = manifest
        self._tokens = TextTokens(manifest.ref, manifest.read_file("tokenizer"))
        self._tokens.fix(options.context_length, options.pad_id)
        has_weights = manifest.has_file("network.weights")
        network = TextNetwork(
            manifest.ref,
            manifest.read_file("network"),
            manifest.read_file("network.weights") if has_weights else b"",
        )
        _, dimensions = network.fix(options.context_length, manifest.output)
        if dimensions != manifest.dimensions:
            raise InvalidModelFileError(
                f"{manifest.ref}: gives {dimensions} numbers, not {manifest.dimensions}"
            )
        self._network = network.compile()

    def encode(self, text: str) -> Floats:
        """The vector (dimensions,) float32 of a text, of length 1.

        Raises UnusableTextError if no word of it is known, InferenceError if it has no vector.
        """
        return self._vector(self._tokens.encode(text))

    def check(self) -> None:
        """Run on two texts; raises InvalidModelFileError unless they have vectors of their own."""
        vectors: dict[tuple[int, ...], Floats] = {}
        for tokens in self._tokens.samples():
            if tuple(tokens.ids) in vectors:
                continue
            try:
                vectors[tuple(tokens.ids)] = self._vector(tokens)
            except InferenceError as exc:
                raise InvalidModelFileError(str(exc)) from exc
            if len(vectors) == 2:
                break
        if len(vectors) < 2:
            raise InvalidModelFileError(f"{self.manifest.ref}: its tokenizer knows no two texts")
        one, other = vectors.values()
        if np.array_equal(one, other):
            raise InvalidModelFileError(f"{self.manifest.ref}: every text has the same vector")

    def _vector(self, tokens: Tokens) -> Floats:
        vector = self._network.run(tokens.ids, tokens.mask)
        with np.errstate(over="ignore", invalid="ignore"):
            length = np.linalg.norm(vector)
        if not np.isfinite(length) or length == 0:
            raise InferenceError(f"{self.manifest.ref}: gives a vector without a direction")
        return np.asarray(vector / length, np.float32)
