"""Tokenizers of the three kinds that text encoders have: bytes, parts of words, pieces."""

from collections.abc import Callable

import pytest
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from models.errors import InvalidModelFileError, UnusableTextError
from models.text_tokens import TextTokens

START, END = "<|startoftext|>", "<|endoftext|>"
RED, TRUCK, CLIP_START, CLIP_END = 513, 517, 518, 519


def clip_like() -> Tokenizer:
    """As CLIP's: bytes, lower case, ends of words, its end token also for padding and `unknown`."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("r", "e"), ("re", "d</w>"), ("t", "r"), ("u", "c"), ("tr", "uc"), ("truc", "k</w>")]
    names = [*alphabet, *(f"{byte}</w>" for byte in alphabet), *map("".join, merges), START, END]
    vocabulary = {name: id_ for id_, name in enumerate(names)}
    model = models.BPE(vocabulary, merges, unk_token=END, end_of_word_suffix="</w>")
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.add_special_tokens([START, END])
    tokenizer.post_processor = processors.RobertaProcessing(
        (END, CLIP_END), (START, CLIP_START), add_prefix_space=False
    )
    return tokenizer


def siglip_like() -> Tokenizer:
    """As SigLIP's: pieces with their blanks, and an end token alone."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [(f"\u2581{word}", -2.0) for word in ("red", "truck", "a", "dog")]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens(["<pad>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return tokenizer


def bert_like() -> Tokenizer:
    """As that of multilingual CLIPs: parts of words."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "tru", "##ck", "a"]
    tokenizer = Tokenizer(models.WordPiece({n: i for i, n in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


def tokens_of(make: Callable[[], Tokenizer], length: int = 12, pad_id: int = 0) -> TextTokens:
    tokens = TextTokens("words@1", make().to_str().encode())
    tokens.fix(length, pad_id)
    return tokens


def test_clips_texts_begin_end_and_are_filled_up() -> None:
    tokens = tokens_of(clip_like, length=6, pad_id=CLIP_END)
    ids = [CLIP_START, RED, TRUCK, CLIP_END, CLIP_END, CLIP_END]
    assert tokens.encode("Red  TRUCK") == (ids, [1, 1, 1, 1, 0, 0])
    assert tokens.max_id == CLIP_END


def test_bytes_know_every_text() -> None:
    tokens = tokens_of(clip_like, length=77, pad_id=CLIP_END)
    texts = ("\U0001f69a", "\0", "\u4eba", "\u00e9", "zebra", "\U0001f9d1\u200d\U0001f680")
    assert len({tuple(tokens.encode(text).ids) for text in texts}) == len(texts)
    with pytest.raises(UnusableTextError, match=r"words@1 knows no word"):
        tokens.encode("")


def test_clips_end_token_in_a_text_ends_nothing() -> None:
    ids, mask = tokens_of(clip_like, length=77, pad_id=CLIP_END).encode(f"red {END} truck")
    assert CLIP_END not in ids[: mask.count(1) - 1]
    assert ids[mask.count(1) - 2 : mask.count(1)] == [TRUCK, CLIP_END]


@pytest.mark.parametrize("n_words", [1, 9, 10, 11, 5000])
def test_a_long_text_keeps_its_end_token(n_words: int) -> None:
    ids, mask = tokens_of(clip_like, pad_id=CLIP_END).encode("red " * n_words)
    n = min(n_words, 10)
    assert ids == [CLIP_START, *[RED] * n, *[CLIP_END] * (11 - n)]
    assert mask == [1] * (n + 2) + [0] * (10 - n)


def test_pieces_have_an_end_and_no_beginning() -> None:
    tokens = tokens_of(siglip_like, length=6)
    assert tokens.encode("red truck") == ([3, 4, 1, 0, 0, 0], [1, 1, 1, 0, 0, 0])
    for text in ("\U0001f69a", "zebra", ""):
        with pytest.raises(UnusableTextError):
            tokens.encode(text)


def test_parts_of_words_are_words() -> None:
    tokens = tokens_of(bert_like, length=8)
    assert tokens.encode("RED truck").ids == [2, 4, 5, 6, 3, 0, 0, 0]
    assert tokens.encode("zebra red").ids == [2, 1, 4, 3, 0, 0, 0, 0]
    with pytest.raises(UnusableTextError):
        tokens.encode("zebra")


def test_what_the_file_says_of_length_and_padding_is_known() -> None:
    tokenizer = bert_like()
    silent = TextTokens("t", tokenizer.to_str().encode())
    assert (silent.context_length, silent.pad_id) == (None, None)
    tokenizer.enable_truncation(9)
    cutting = TextTokens("t", tokenizer.to_str().encode())
    assert (cutting.context_length, cutting.pad_id) == (9, None)
    tokenizer.enable_padding(length=7, pad_id=3, pad_token="[SEP]", direction="left")
    filling = TextTokens("t", tokenizer.to_str().encode())
    assert (filling.context_length, filling.pad_id) == (7, 3)
    filling.fix(7, 3)
    assert filling.encode("red") == ([3, 3, 3, 3, 2, 4, 3], [0, 0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize("length", [1, 2])
def test_a_length_without_room_for_a_word_is_refused(length: int) -> None:
    """The library itself would give more tokens than it was told."""
    with pytest.raises(InvalidModelFileError, match=rf"adds 2 tokens .* {length} are too few"):
        tokens_of(bert_like, length=length)
    assert tokens_of(bert_like, length=3).encode("red a red").ids == [2, 4, 3]
