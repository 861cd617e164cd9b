"""Endless random weights in ggml's block formats: one short tape a type, read in a circle."""
from __future__ import annotations

from typing import BinaryIO

import numpy as np

#: Standard deviation of every weight. Small enough that no activation of a deep network leaves half precision.
STD = 0.02
TAPE_BYTES = 8 << 20

#: Weights and bytes in one block.
BLOCK = {
    'F32': (1, 4),
    'F16': (1, 2),
    'Q8_0': (32, 34),
    'Q4_0': (32, 18),
    'Q4_K': (256, 144),
    'Q6_K': (256, 210),
}


def half(value: float, blocks: int, rng: np.random.Generator) -> np.ndarray:
    """A positive f16 scale a block, spread by a tenth around `value`, as bytes [blocks, 2]."""
    scales = (value * rng.uniform(0.9, 1.1, blocks)).astype(np.float16)
    return scales.view(np.uint8).reshape(blocks, 2)


def make_blocks(kind: str, blocks: int, rng: np.random.Generator) -> np.ndarray:
    """Random blocks as bytes [blocks, block size]."""
    def noise(width: int) -> np.ndarray:
        return rng.integers(0, 256, (blocks, width), dtype=np.uint8)

    if kind == 'F32':
        return rng.normal(0, STD, blocks).astype(np.float32).view(np.uint8).reshape(blocks, 4)
    if kind == 'F16':  # of a BF16 checkpoint, as Qwen's are: no number has more than eight bits
        bits = rng.normal(0, STD, blocks).astype(np.float32).view(np.uint32) & 0xFFFF0000
        return bits.view(np.float32).astype(np.float16).view(np.uint8).reshape(blocks, 2)
    if kind == 'Q8_0':  # d, 32 signed bytes (deviation 74)
        return np.concatenate([half(STD / 74, blocks, rng), noise(32)], axis=1)
    if kind == 'Q4_0':  # d, 32 nibbles minus 8 (deviation 4.6)
        return np.concatenate([half(STD / 4.6, blocks, rng), noise(16)], axis=1)
    if kind == 'Q4_K':  # d, dmin, eight 6-bit scales and minima, 256 nibbles
        # Every scale and minimum is 48, in ggml's packing; with dmin = 7.5 d the nibbles are centred on zero.
        packed = np.array([0xF0] * 8 + [0x00] * 4, dtype=np.uint8)
        d = STD / (48 * 4.6)
        return np.concatenate(
            [half(d, blocks, rng), half(7.5 * d, blocks, rng), np.tile(packed, (blocks, 1)), noise(128)], axis=1
        )
    if kind == 'Q6_K':  # 256 six-bit values minus 32 (deviation 18.5), 16 signed scales, d
        scales = rng.integers(8, 16, (blocks, 16), dtype=np.uint8)
        return np.concatenate([noise(192), scales, half(STD / (18.5 * 12), blocks, rng)], axis=1)
    raise ValueError(f'no such weight type: {kind}')


class Tape:
    """Random blocks of one type. Every tensor starts where the one before stopped, so no two are equal."""

    def __init__(self, kind: str, rng: np.random.Generator):
        size = BLOCK[kind][1]
        # One block less than a round number: rows of weights never line up with the tape's length.
        self._bytes = memoryview(make_blocks(kind, TAPE_BYTES // size - 1, rng).reshape(-1))
        self._at = 0

    def write(self, out: BinaryIO, count: int) -> None:
        while count > 0:
            piece = self._bytes[self._at : self._at + count]
            out.write(piece)
            count -= len(piece)
            self._at = (self._at + len(piece)) % len(self._bytes)


def ones(out: BinaryIO, count: int) -> None:
    """`count` bytes of the float 1: the weight of a norm that does nothing."""
    out.write(np.ones(count // 4, dtype=np.float32).tobytes())


def zeros(out: BinaryIO, count: int) -> None:
    out.write(bytes(count))
