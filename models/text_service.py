"""Text encoder process of the api: `python -m models.text_service --dir DIRECTORY`.

Orders arrive on stdin, one JSON line each (`TextOrder`), and answers go to stdout (`TextAnswer`).
So networks and tokenizers that users bring are never in the api's own process. The two encoders
that were used last stay loaded. The process ends when stdin ends.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
from cachetools import LRUCache

from models.errors import InferenceError, ModelError, UnusableTextError
from models.registry import Registry
from models.text_encoder import TextEncoder
from models.text_orders import TextAnswer, TextOrder

MAX_LOADED = 2


class TextService:
    """Answers orders with the text encoders of a directory, which it loads when they are named."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._loaded: LRUCache[tuple[str, ...], TextEncoder] = LRUCache(MAX_LOADED)

    def answer(self, order: TextOrder) -> TextAnswer:
        """Return the text's vector; an error is in the answer."""
        try:
            vector = self._encoder(order.encoder).encode(order.text)
        except (UnusableTextError, InferenceError) as exc:
            return TextAnswer(error="unusable", message=str(exc))
        except ModelError as exc:
            return TextAnswer(error="failed", message=str(exc))
        return TextAnswer(vector.astype("<f4").tobytes())

    def _encoder(self, ref: str) -> TextEncoder:
        manifest = self._registry.resolve(ref)
        # A model that was removed and added again has the name, but other files.
        key = (manifest.ref, *(file.sha256 for file in manifest.files))
        encoder = self._loaded.get(key)
        if encoder is None:
            encoder = self._loaded[key] = TextEncoder(manifest)
        return encoder


def serve(orders: BinaryIO, answers: BinaryIO, service: TextService) -> None:
    """Answer each line of `orders`, in order."""
    decoder = msgspec.json.Decoder(TextOrder)
    for line in orders:
        answers.write(msgspec.json.encode(service.answer(decoder.decode(line))) + b"\n")
        answers.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Answer orders until stdin ends."""
    parser = argparse.ArgumentParser(prog="models.text_service")
    parser.add_argument("--dir", type=Path, required=True, help="the user's own models")
    arguments = parser.parse_args(argv)
    try:
        registry = Registry(arguments.dir)
    except ModelError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    serve(sys.stdin.buffer, sys.stdout.buffer, TextService(registry))
    return 0


if __name__ == "__main__":
    sys.exit(main())
