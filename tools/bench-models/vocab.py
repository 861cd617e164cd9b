"""The real Qwen vocabulary, from the vocabulary file of llama.cpp's own tests, with the tokens that the models add."""
from __future__ import annotations

from pathlib import Path

import gguf

#: Ids 151643 onwards. A generation knows these up to its `last_special`.
SPECIALS = (
    '<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|> <|box_end|> '
    '<|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|> <|vision_pad|> <|image_pad|> <|video_pad|> '
    '<tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> <|fim_pad|> <|repo_name|> <|file_sep|> '
    '<tool_response> </tool_response> <think> </think>'
).split()
FIRST_SPECIAL = 151643

COUNTERS = (
    "{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}"
)
CONTENT = (
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for content in message['content'] %}"
    "{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}"
    "{% set image_count.value = image_count.value + 1 %}"
    "{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif content['type'] == 'video' or 'video' in content %}"
    "{% set video_count.value = video_count.value + 1 %}"
    "{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in content %}{{ content['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
)
DEFAULT_SYSTEM = (
    "{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
)


def chat_template(default_system: bool) -> str:
    """ChatML with pictures and videos; Qwen2-VL and Qwen2.5-VL speak a default system message, Qwen3-VL does not."""
    return (
        COUNTERS
        + '{% for message in messages %}'
        + (DEFAULT_SYSTEM if default_system else '')
        + "<|im_start|>{{ message['role'] }}\n"
        + CONTENT
        + '<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}'
    )


class Vocab:
    """Tokens, types and merges. Slow to read (seconds): make one and use it for every model."""

    def __init__(self, path: Path):
        fields = gguf.GGUFReader(path).fields
        self._tokens = fields['tokenizer.ggml.tokens'].contents()[:FIRST_SPECIAL]
        self._merges = fields['tokenizer.ggml.merges'].contents()

    def add_to(self, writer: gguf.GGUFWriter, size: int, last_special: int) -> None:
        specials = SPECIALS[: last_special - FIRST_SPECIAL + 1]
        unused = range(FIRST_SPECIAL + len(specials), size)
        kinds = gguf.TokenType
        writer.add_tokenizer_model('gpt2')
        writer.add_tokenizer_pre('qwen2')
        writer.add_token_list(self._tokens + specials + [f'[PAD{i}]' for i in unused])
        writer.add_token_types(
            [kinds.NORMAL] * FIRST_SPECIAL
            + [kinds.CONTROL if token.startswith('<|') else kinds.USER_DEFINED for token in specials]
            + [kinds.UNUSED] * len(unused)
        )
        writer.add_token_merges(self._merges)
        writer.add_eos_token_id(151645)
        writer.add_pad_token_id(151643)
        writer.add_bos_token_id(151643)
        writer.add_add_bos_token(False)
