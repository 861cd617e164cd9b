"""Batches of conversations whose pictures have one size. A batch follows from its number alone, so that several
processes can make them and a training run can go on where it stopped."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from conversation import FAMILIES, Conversation, lesson, sample, single
from grids import FACTOR, Grid, some_group
from layout import IGNORED, Layout
from targets import targets

PICTURES = {"one": 1, "two": 2, "frames": 3}  # a family's batch is smaller by this
FILLER = -1
STRIDE = 1 << 16  # conversations that a batch number stands for


@dataclass
class Batch:
    pixels: Tensor  # uint8 [N, 3, height, width], or [0]
    ids: Tensor  # [B, L]
    positions: Tensor  # [3, B, L]
    turns: Tensor  # [B, L]
    branches: Tensor  # [B, L]; FILLER behind a row's end
    targets: Tensor  # [N, tokens of a picture, LABELS], or [0]
    tasks: list[list[str]]  # [B][turn]

    def to(self, device: str) -> "Batch":
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "Batch":
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        values = (getattr(self, each.name) for each in fields(self))
        return Batch(*(change(value) if isinstance(value, Tensor) else value for value in values))


def collate(layout: Layout, lessons: list[list[Conversation]], grid: Grid) -> Batch:
    """Every lesson, conversations about the same pictures, becomes a row."""
    rows = [layout.row(talks, grid) for talks in lessons]
    length = max(len(row.ids) for row in rows)
    ids = np.full((len(rows), length), layout.pad)
    positions = np.zeros((3, len(rows), length), int)
    turns = np.full((len(rows), length), IGNORED)
    branches = np.full((len(rows), length), FILLER)
    for index, row in enumerate(rows):
        ids[index, : len(row.ids)] = row.ids
        positions[:, index, : len(row.ids)] = row.positions
        turns[index, : len(row.ids)] = row.turns
        branches[index, : len(row.ids)] = row.branches
    pictures = [_pixels(picture, grid) for talks in lessons for picture in talks[0].pictures]
    lessons_of = [targets(scene, grid) for talks in lessons for scene in talks[0].scenes]
    pixels = torch.from_numpy(np.stack(pictures)) if pictures else torch.zeros(0, dtype=torch.uint8)
    dense = torch.from_numpy(np.stack(lessons_of)) if pictures else torch.zeros(0, dtype=torch.long)
    tasks = [[turn.task for talk in talks for turn in talk.turns] for talks in lessons]
    told = (torch.from_numpy(array) for array in (ids, positions, turns, branches))
    return Batch(pixels, *told, dense, tasks)


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
    look: int = 0  # the first batches are pictures alone: their texts are not used
    look_size: int = 0  # of those batches
    repeat: int = 0  # use only so many batches, again and again

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Batch:
        if not hasattr(self, "_layout"):  # once a process
            self._layout = Layout(Tokenizer.from_file(str(self.tokenizer / "tokenizer.json")))
        return collate(self._layout, *self.lessons(self.numbers[index]))

    def lessons(self, number: int) -> tuple[list[list[Conversation]], Grid]:
        number = number % self.repeat if self.repeat else number
        rng = np.random.default_rng([self.seed, number, 5])
        level = min(1.0, number / self.warm) if self.warm else 1.0
        looking = number < self.look
        family = "one" if looking else str(rng.choice(list(FAMILIES), p=list(FAMILIES.values())))
        grid, sizes = some_group(rng)
        found = []
        for each in range(self.look_size if looking else max(1, self.size // PICTURES[family])):
            size = sizes[rng.integers(len(sizes))]
            now = level if rng.random() < 0.8 else 1.0  # a few hard ones from the start
            index = number * STRIDE + each
            if looking:
                found.append(single(self.seed, index, size, level=now))
            else:
                found.append(lesson(self.seed, index, size, level=now, family=family))
        return found, grid


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
        batches.append(collate(layout, [[talk] for talk in talks], grid))
    return batches
