"""Names, shapes and types of the tensors of each model, as llama.cpp's converter and quantiser would write them."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shapes import Model, Text

#: llama.cpp's number of each file type (`general.file_type`).
FILE_TYPES = {'f16': 1, 'q4_0': 2, 'q8_0': 7, 'q4_k_m': 15}


@dataclass(frozen=True)
class Tensor:
    name: str
    #: Slowest axis first, as numpy counts.
    shape: tuple[int, ...]
    #: A type of blocks.BLOCK, or `one` / `zero` for F32 constants.
    kind: str


def more_bits(layer: int, layers: int) -> bool:
    """Layers whose attention values and ffn_down get Q6_K in a Q4_K_M file."""
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2


class Quant:
    """Which type each kind of text tensor gets."""

    def __init__(self, name: str, text: Text):
        self._name = name
        self._layers = text.layers
        self.body = {'f16': 'F16', 'q4_0': 'Q4_0', 'q8_0': 'Q8_0', 'q4_k_m': 'Q4_K'}[name]
        self.output = 'Q6_K' if name.startswith('q4') else self.body
        self.embedding = self.output if text.tied else self.body

    def sensitive(self, layer: int) -> str:
        return 'Q6_K' if self._name == 'q4_k_m' and more_bits(layer, self._layers) else self.body


def text_tensors(text: Text, quant: Quant) -> Iterator[Tensor]:
    h, q, kv = text.hidden, text.heads * text.head_dim, text.kv_heads * text.head_dim
    yield Tensor('token_embd.weight', (text.vocab, h), quant.embedding)
    for i in range(text.layers):
        b = f'blk.{i}.'
        yield Tensor(b + 'attn_norm.weight', (h,), 'one')
        yield Tensor(b + 'attn_q.weight', (q, h), quant.body)
        yield Tensor(b + 'attn_k.weight', (kv, h), quant.body)
        yield Tensor(b + 'attn_v.weight', (kv, h), quant.sensitive(i))
        if text.is_qwen3:
            yield Tensor(b + 'attn_q_norm.weight', (text.head_dim,), 'one')
            yield Tensor(b + 'attn_k_norm.weight', (text.head_dim,), 'one')
        else:
            yield Tensor(b + 'attn_q.bias', (q,), 'F32')
            yield Tensor(b + 'attn_k.bias', (kv,), 'F32')
            yield Tensor(b + 'attn_v.bias', (kv,), 'F32')
        yield Tensor(b + 'attn_output.weight', (h, q), quant.body)
        yield Tensor(b + 'ffn_norm.weight', (h,), 'one')
        yield Tensor(b + 'ffn_gate.weight', (text.ffn, h), quant.body)
        yield Tensor(b + 'ffn_up.weight', (text.ffn, h), quant.body)
        yield Tensor(b + 'ffn_down.weight', (h, text.ffn), quant.sensitive(i))
    yield Tensor('output_norm.weight', (h,), 'one')
    if not text.tied:
        yield Tensor('output.weight', (text.vocab, h), quant.output)


def linear(name: str, out: int, into: int) -> Iterator[Tensor]:
    yield Tensor(name + '.weight', (out, into), 'F16')
    yield Tensor(name + '.bias', (out,), 'F32')


def vision_tensors(model: Model) -> Iterator[Tensor]:
    v = model.vision
    w, merged = v.width, 4 * v.width

    def norm(name: str, width: int) -> Iterator[Tensor]:
        yield Tensor(name + '.weight', (width,), 'one')
        if not v.is_qwen25:
            yield Tensor(name + '.bias', (width,), 'zero')

    yield Tensor('v.patch_embd.weight', (w, 3, v.patch, v.patch), 'F16')
    yield Tensor('v.patch_embd.weight.1', (w, 3, v.patch, v.patch), 'F16')
    if v.is_qwen3:
        yield Tensor('v.patch_embd.bias', (w,), 'F32')
        yield Tensor('v.position_embd.weight', ((v.image_size // v.patch) ** 2, w), 'F32')
    for i in range(v.layers):
        b = f'v.blk.{i}.'
        yield from norm(b + 'ln1', w)
        if v.is_qwen3:
            yield from linear(b + 'attn_qkv', 3 * w, w)
        else:
            for part in 'qkv':
                yield from linear(b + 'attn_' + part, w, w)
        yield from linear(b + 'attn_out', w, w)
        yield from norm(b + 'ln2', w)
        if v.is_qwen25:
            yield from linear(b + 'ffn_gate', v.ffn, w)
        yield from linear(b + 'ffn_up', v.ffn, w)
        yield from linear(b + 'ffn_down', w, v.ffn)
    yield from norm('v.post_ln', w)
    yield from linear('mm.0', merged, merged)
    yield from linear('mm.2', model.text.hidden, merged)
    for i in v.deepstack:
        yield from norm(f'v.deepstack.{i}.norm', merged)
        yield from linear(f'v.deepstack.{i}.fc1', merged, merged)
        yield from linear(f'v.deepstack.{i}.fc2', model.text.hidden, merged)
