"""Batches of conversations whose pictures have one size. A batch follows from its number alone, so that several
processes can make them and a training run can go on where it stopped."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from conversation import FAMILIES, Conversation, sample
from grids import FACTOR, Grid, some_group
from layout import IGNORED, Layout

PICTURES = {"one": 1, "two": 2, "frames": 3}  # a family's batch is smaller by this
STRIDE = 1 << 16  # conversations that a batch number stands for


@dataclass
class Batch:
    pixels: Tensor  # uint8 [N, 3, height, width], or [0]
    ids: Tensor  # [B, L]
    positions: Tensor  # [3, B, L]
    turns: Tensor  # [B, L]
    tasks: list[list[str]]  # [B][turn]

    def to(self, device: str) -> "Batch":
        moved = (t.to(device, non_blocking=True) for t in (self.pixels, self.ids, self.positions, self.turns))
        return Batch(*moved, self.tasks)

    def pin_memory(self) -> "Batch":
        pinned = (t.pin_memory() for t in (self.pixels, self.ids, self.positions, self.turns))
        return Batch(*pinned, self.tasks)


def collate(layout: Layout, talks: list[Conversation], grid: Grid) -> Batch:
    rows = [layout.row(talk, grid) for talk in talks]
    length = max(len(row.ids) for row in rows)
    ids = np.full((len(rows), length), layout.pad)
    positions = np.zeros((3, len(rows), length), int)
    turns = np.full((len(rows), length), IGNORED)
    for index, row in enumerate(rows):
        ids[index, : len(row.ids)] = row.ids
        positions[:, index, : len(row.ids)] = row.positions
        turns[index, : len(row.ids)] = row.turns
    pictures = [_pixels(picture, grid) for talk in talks for picture in talk.pictures]
    pixels = torch.from_numpy(np.stack(pictures)) if pictures else torch.zeros(0, dtype=torch.uint8)
    tasks = [[turn.task for turn in talk.turns] for talk in talks]
    return Batch(pixels, torch.from_numpy(ids), torch.from_numpy(positions), torch.from_numpy(turns), tasks)


def _pixels(picture: Image.Image, grid: Grid) -> np.ndarray:
    fitted = picture.resize((grid[1] * FACTOR, grid[0] * FACTOR), Image.Resampling.BICUBIC)
    return np.asarray(fitted).transpose(2, 0, 1)


@dataclass
class Source(Dataset):
    """Training batches by number. `warm` batches go from the easiest pictures to all."""

    tokenizer: Path
    seed: int
    size: int
    warm: int
    numbers: range
    repeat: int = 0  # use only so many batches, again and again

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Batch:
        if not hasattr(self, "_layout"):  # once a process
            self._layout = Layout(Tokenizer.from_file(str(self.tokenizer / "tokenizer.json")))
        return collate(self._layout, *self.talks(self.numbers[index]))

    def talks(self, number: int) -> tuple[list[Conversation], Grid]:
        number = number % self.repeat if self.repeat else number
        rng = np.random.default_rng([self.seed, number, 5])
        level = min(1.0, number / self.warm) if self.warm else 1.0
        family = str(rng.choice(list(FAMILIES), p=list(FAMILIES.values())))
        grid, sizes = some_group(rng)
        talks = []
        for each in range(max(1, self.size // PICTURES[family])):
            size = sizes[rng.integers(len(sizes))]
            now = level if rng.random() < 0.8 else 1.0  # a few hard ones from the start
            talks.append(sample(self.seed, number * STRIDE + each, "train", size, level=now, family=family))
        return talks, grid


def stream(source: Source, workers: int) -> Iterator[Batch]:
    several = {"prefetch_factor": 4, "persistent_workers": True} if workers else {}
    pin = torch.cuda.is_available()
    return iter(DataLoader(source, batch_size=None, num_workers=workers, pin_memory=pin, worker_init_fn=_one_thread, **several))


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)


def held_out(layout: Layout, task: str, number: int, seed: int = 1) -> list[Batch]:
    """Batches of at most 32 whose last turns are of the task: unseen pictures, unseen wordings."""
    batches = []
    for start in range(0, number, 32):
        grid, sizes = some_group(np.random.default_rng([seed, start, 9]))
        each = range(start, min(number, start + 32))
        talks = [sample(seed, index, "held_out", sizes[index % len(sizes)], task=task) for index in each]
        if task == "unrelated":  # with and without a picture
            with_picture = [talk for talk in talks if talk.pictures]
            talks = with_picture or talks
        batches.append(collate(layout, talks, grid))
    return batches
