"""The true shapes of the models, and nothing else: what a speed measurement depends on."""
from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Text:
    arch: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    ffn: int
    context: int
    rope_base: float
    rope_sections: tuple[int, ...]
    head_dim: int = 128
    vocab: int = 151936
    tied: bool = True

    @property
    def is_qwen3(self) -> bool:
        return self.arch == 'qwen3vl'


@dataclass(frozen=True)
class Vision:
    projector: str
    width: int
    layers: int
    heads: int
    ffn: int
    patch: int
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    deepstack: tuple[int, ...] = ()

    @property
    def is_qwen25(self) -> bool:
        return self.projector == 'qwen2.5vl_merger'

    @property
    def is_qwen3(self) -> bool:
        return self.projector == 'qwen3vl_merger'


@dataclass(frozen=True)
class Model:
    name: str
    text: Text
    vision: Vision
    #: The last special token that this generation's tokenizer knows.
    last_special: int = field(default=151656)


CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
HALF = (0.5, 0.5, 0.5)


def qwen2(hidden: int, layers: int, heads: int, kv_heads: int, ffn: int, context: int, **other) -> Text:
    return Text('qwen2vl', hidden, layers, heads, kv_heads, ffn, context, 1e6, (16, 24, 24, 0), **other)


def qwen3(hidden: int, layers: int, heads: int, ffn: int, **other) -> Text:
    return Text('qwen3vl', hidden, layers, heads, 8, ffn, 262144, 5e6, (24, 20, 20, 0), **other)


VISION_2 = Vision('qwen2vl_merger', 1280, 32, 16, 5120, 14, 560, CLIP_MEAN, CLIP_STD)
VISION_25 = Vision('qwen2.5vl_merger', 1280, 32, 16, 3420, 14, 560, CLIP_MEAN, CLIP_STD)
VISION_3S = Vision('qwen3vl_merger', 1024, 24, 16, 4096, 16, 768, HALF, HALF, (5, 11, 17))
VISION_3L = Vision('qwen3vl_merger', 1152, 27, 16, 4304, 16, 768, HALF, HALF, (8, 16, 24))

MODELS = {
    '2b': Model('Qwen2-VL-2B', qwen2(1536, 28, 12, 2, 8960, 32768), VISION_2, 151656),
    '3b': Model('Qwen2.5-VL-3B', qwen2(2048, 36, 16, 2, 11008, 128000), VISION_25, 151664),
    '7b': Model(
        'Qwen2.5-VL-7B',
        qwen2(3584, 28, 28, 4, 18944, 128000, vocab=152064, tied=False),
        VISION_25,
        151664,
    ),
    'qwen3-2b': Model('Qwen3-VL-2B', qwen3(2048, 28, 16, 6144), VISION_3S, 151668),
    'qwen3-4b': Model('Qwen3-VL-4B', qwen3(2560, 36, 32, 9728), VISION_3S, 151668),
    'qwen3-8b': Model('Qwen3-VL-8B', qwen3(4096, 36, 32, 12288, tied=False), VISION_3L, 151668),
}
