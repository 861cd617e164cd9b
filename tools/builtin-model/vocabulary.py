"""The tokenizer: byte-level BPE trained on the generated conversations, in the form of Qwen's."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import Qwen2TokenizerFast

from conversation import FAMILIES, SYSTEM, sample
from grids import some_size
from palette import COLOURS, SHAPES

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
sys.path.append(str(FIXTURES))
from tokenizer import ADDED, SPECIAL, SPLIT  # noqa: E402

MERGES = 996  # with 256 bytes and the special tokens 1278
ROWS = 1280  # of the embedding
SAMPLES = 4000


def make() -> Qwen2TokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(SPLIT), behavior="isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=256 + MERGES,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=4,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL])
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=False) for token in ADDED])
    assert tokenizer.get_vocab_size() <= ROWS, tokenizer.get_vocab_size()
    return Qwen2TokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token=None,
        bos_token=None,
        model_max_length=4096,
        chat_template=(FIXTURES / "jinja" / "qwen3vl.jinja").read_text(encoding="utf-8"),
    )


def _texts() -> Iterator[str]:
    """Questions and answers without the printed words: those must stay spelled letter by letter."""
    yield from [SYSTEM] * 50 + ["system\n", "user\n", "assistant\n"] * 200
    for item in (*COLOURS, *SHAPES):
        yield from [item.en, f" {item.en}", item.en.capitalize(), item.zh] * 400
    for item in SHAPES:
        yield from [f" {item.plural}"] * 400
    rng = np.random.default_rng(1)
    for index in range(SAMPLES):
        family = list(FAMILIES)[index % 7 % 3]
        talk = sample(0, index, "train", some_size(rng), family=family, drawn=False)
        for turn in talk.turns:
            if turn.task != "unrelated":
                yield from _names_apart(re.sub(r"[A-Z]{2,}|[A-Z]\b|\bword \w+|文字\w+", " ", turn.question))
            if turn.task != "read":
                yield from _names_apart(re.sub(r"\b[A-Z]+\b|\bword \w+|文字\w+|\"label\": \"\w+\"", " ", turn.answer))


def _names_apart(text: str) -> list[str]:
    """Chinese has no spaces: a colour and its shape would become one token, each pair another."""
    names = "|".join(item.zh for item in (*COLOURS, *SHAPES))
    return [part for part in re.split(f"({names})", text) if part]


if __name__ == "__main__":
    made = make()
    made.save_pretrained(sys.argv[1])
    print(len(made), "tokens")
    for text in ('```json\n[\n\t{"bbox_2d": [12, 345, 600, 1000], "label": "red circle"}\n]\n```', "图中有红色圆形。", "ABCXYZ", "horse"):
        print(made.tokenize(text))
