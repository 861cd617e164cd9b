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

from compose import still_scene
from conversation import FAMILIES, Conversation, drill, lesson, sample, single
from grids import FACTOR, Grid, Size, some_group
from layout import IGNORED, Layout
from names import MOST, names
from scene import Scene
from targets import of_thing, targets

PICTURES = {"one": 1, "two": 2, "frames": 3}  # a family's batch is smaller by this
FILLER = -1
# What comes in turn: crowded pictures without words, conversations (of a reader: about scenes that are not drawn), names,
# printed words to read
BATCHES = {"eyes": ("pictures",), "reader": ("names", "talk", "words"), "both": ("talk", "pictures")}
WIDE = 2.5  # times as many pictures without words beside conversations
WORDS = 5  # short rows, so as many times more of them
STRIDE = 1 << 16  # conversations that a batch number stands for


@dataclass
class Batch:
    pixels: Tensor  # uint8 [N, 3, height, width]; [0] without pictures or undrawn
    ids: Tensor  # [B, L]
    positions: Tensor  # [3, B, L]
    turns: Tensor  # [B, L]
    branches: Tensor  # [B, L]; FILLER behind a row's end
    targets: Tensor  # [N, tokens of a picture, LABELS], or [0]
    tasks: list[list[str]]  # [B][turn]
    named: Tensor  # [names, 2]: row and column of the last token of every name of a drill, or [0]
    meant: Tensor  # [names, LABELS]: what is known of the one thing that it names
    counts: Tensor  # [names]: how many things it fits

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
    scenes = [scene for talks in lessons for scene in talks[0].scenes]
    lessons_of = [targets(scene, grid) for scene in scenes]
    pixels = torch.from_numpy(np.stack(pictures)) if pictures else torch.zeros(0, dtype=torch.uint8)
    dense = torch.from_numpy(np.stack(lessons_of)) if scenes else torch.zeros(0, dtype=torch.long)
    tasks = [[turn.task for talk in talks for turn in talk.turns] for talks in lessons]
    told = (torch.from_numpy(array) for array in (ids, positions, turns, branches))
    return Batch(pixels, *told, dense, tasks, *[torch.zeros(0, dtype=torch.long)] * 3)


def collate_names(layout: Layout, scenes: list[Scene], rng: np.random.Generator, grid: Grid) -> Batch:
    """A drill: undrawn scenes with the names of names.py."""
    rows, named, meant, counts = [], [], [], []
    for scene in scenes:
        drilled = names(rng, scene)
        starts = rng.integers(0, 24, len(drilled)).tolist()
        row, lasts = layout.names([each.text for each in drilled], grid, starts)
        named += [(len(rows), last) for last in lasts]
        meant += [of_thing(scene, each.things[0] if len(each.things) == 1 else None) for each in drilled]
        counts += [min(MOST, len(each.things)) for each in drilled]
        rows.append(row)
    length = max(len(row.ids) for row in rows)
    fill = lambda name, value: np.stack([_filled(getattr(row, name), length, value) for row in rows])  # noqa: E731
    positions = np.stack([_filled(row.positions, length, 0) for row in rows], axis=1)
    told = (torch.from_numpy(array) for array in (fill("ids", layout.pad), positions, fill("turns", IGNORED), fill("branches", FILLER)))
    dense = torch.from_numpy(np.stack([targets(scene, grid) for scene in scenes]))
    found = (torch.from_numpy(np.array(array)) for array in (named, np.stack(meant), counts))
    return Batch(torch.zeros(0, dtype=torch.uint8), *told, dense, [[] for _ in rows], *found)


def _filled(values: np.ndarray, length: int, value: int) -> np.ndarray:
    """The last axis made `length` long."""
    return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, length - values.shape[-1])], constant_values=value)


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
    stage: str = "both"
    drills: int = 0  # the first batches of a reader ask simple questions
    repeat: int = 0  # use only so many batches, again and again

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Batch:
        if not hasattr(self, "_layout"):  # once a process
            self._layout = Layout(Tokenizer.from_file(str(self.tokenizer / "tokenizer.json")))
        number = self.numbers[index]
        number = number % self.repeat if self.repeat else number
        rng = np.random.default_rng([self.seed, number, 5])
        grid, sizes = some_group(rng)
        if self.kind(number) == "names":
            scenes = [still_scene(rng, sizes[rng.integers(len(sizes))], self._level(number)) for _ in range(2 * self.size)]
            return collate_names(self._layout, scenes, rng, grid)
        lessons = self._words(number, rng, sizes) if self.kind(number) == "words" else self._lessons(number, rng, sizes)
        return collate(self._layout, lessons, grid)

    def lessons(self, number: int) -> list[list[Conversation]]:
        rng = np.random.default_rng([self.seed, number, 5])
        _, sizes = some_group(rng)
        return self._lessons(number, rng, sizes)

    def kind(self, number: int) -> str:
        kinds = BATCHES[self.stage]
        return kinds[number % len(kinds)]

    def _level(self, number: int) -> float:
        return min(1.0, number / self.warm) if self.warm else 1.0

    def _words(self, number: int, rng: np.random.Generator, sizes: tuple[Size, ...]) -> list[list[Conversation]]:
        numbers = range(number * STRIDE, number * STRIDE + WORDS * self.size)
        return [[sample(self.seed, each, "train", sizes[rng.integers(len(sizes))], task="read", drawn=False)] for each in numbers]

    def _lessons(self, number: int, rng: np.random.Generator, sizes: tuple[Size, ...]) -> list[list[Conversation]]:
        level = self._level(number)
        easy = self.kind(number) == "pictures" or number < self.drills
        family = "one" if easy else str(rng.choice(list(FAMILIES), p=list(FAMILIES.values())))
        found = []
        rows = self.size
        if self.stage == "both":
            rows = int(WIDE * rows) if self.kind(number) == "pictures" else max(1, rows // PICTURES[family])
        for each in range(rows):
            size = sizes[rng.integers(len(sizes))]
            now = level if rng.random() < 0.8 else 1.0  # a few hard ones from the start
            index = number * STRIDE + each
            if self.kind(number) == "pictures":
                found.append(single(self.seed, index, size, level=now))
            elif number < self.drills:
                found.append(drill(self.seed, index, size, level=now))
            else:
                found.append(lesson(self.seed, index, size, level=now, family=family, drawn=self.stage == "both"))
        return found


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
