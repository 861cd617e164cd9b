"""Picture sizes, grouped by the size that the model sees. A batch holds one group, so nothing is padded."""

import functools
from collections import defaultdict

import numpy as np

FACTOR = 32  # pixels a side of one token
# Declared in the checkpoint's preprocessor_config.json and in the GGUF projector: every picture becomes about as large.
MIN_PIXELS = 28 * FACTOR**2
MAX_PIXELS = 38 * FACTOR**2
SIDES = (96, 320)
WIDEST = 2.2

Grid = tuple[int, int]  # rows, columns of tokens
Size = tuple[int, int]  # width, height in pixels


def fitted(size: Size) -> Grid:
    """Tokens of a picture after the reference's smart_resize."""
    width, height = size
    rows, columns = max(1, round(height / FACTOR)), max(1, round(width / FACTOR))
    area = rows * columns * FACTOR**2
    if area > MAX_PIXELS or area < MIN_PIXELS:
        limit, to_grid = (MAX_PIXELS, np.floor) if area > MAX_PIXELS else (MIN_PIXELS, np.ceil)
        scale = (limit / (width * height)) ** 0.5 / FACTOR
        rows, columns = max(1, int(to_grid(height * scale))), max(1, int(to_grid(width * scale)))
    return rows, columns


@functools.cache
def groups() -> tuple[tuple[Grid, tuple[Size, ...]], ...]:
    """Every grid worth training on with the picture sizes that lead to it."""
    rng = np.random.default_rng(2024)
    found: dict[Grid, list[Size]] = defaultdict(list)
    for _ in range(8000):
        width, height = (int(side) for side in np.exp(rng.uniform(*np.log(SIDES), 2)))
        if max(width, height) <= WIDEST * min(width, height):
            found[fitted((width, height))].append((width, height))
    return tuple((grid, tuple(sizes)) for grid, sizes in sorted(found.items()) if len(sizes) >= 40)


def some_group(rng: np.random.Generator) -> tuple[Grid, tuple[Size, ...]]:
    weights = np.array([len(sizes) for _, sizes in groups()], dtype=np.float64)
    return groups()[rng.choice(len(weights), p=weights / weights.sum())]


def some_size(rng: np.random.Generator) -> Size:
    _, sizes = some_group(rng)
    return sizes[rng.integers(len(sizes))]
