"""A picture before it is drawn: things with places. Lengths are pixels of the picture."""

import functools
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image

import outlines
import words
from backgrounds import background, worn
from palette import COLOURS, SHAPES, Colour, Shape

GAP = 0.03  # between things that do not overlap, as a part of the shorter side


@dataclass(frozen=True)
class Thing:
    """A shape, or a printed word (then `text` is set and `shape` is None)."""

    colour: Colour
    rgb: tuple[int, int, int]
    centre: tuple[float, float]
    radius: float  # of a shape; for a word, the height of its letters
    degrees: float = 0.0
    shape: Shape | None = None
    text: str = ""
    font: str = ""
    smooth: bool = True

    def mask(self) -> Image.Image:
        if self.shape:
            return _shape_mask(self.shape, self.radius, self.degrees, self.smooth)
        return _word_mask(self.text, self.font, round(self.radius))

    def middles(self) -> list[float]:
        """Of a word's letters, as parts of its width."""
        return words.middles(self.text, self.font, round(self.radius))


_shape_mask = functools.lru_cache(maxsize=64)(outlines.mask)  # a thing is measured many times before it is drawn
_word_mask = functools.lru_cache(maxsize=128)(words.mask)


@dataclass
class Scene:
    size: tuple[int, int]
    things: list[Thing] = field(default_factory=list)
    seed: int = 0  # of background and wear, so that two scenes can share them
    level: float = 1.0
    ground_for: list[tuple[int, int, int]] = field(default_factory=list)  # further colours the ground must not hide

    @property
    def shapes(self) -> list[Thing]:
        return [thing for thing in self.things if thing.shape]

    @property
    def texts(self) -> list[Thing]:
        return [thing for thing in self.things if thing.text]

    def place(self, thing: Thing) -> tuple[float, float]:
        """Centre as parts of width and height."""
        return thing.centre[0] / self.size[0], thing.centre[1] / self.size[1]

    def box(self, thing: Thing) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of what is drawn, 0 to 1000."""
        left, top, covered = self.pasted(thing)
        x1, y1, x2, y2 = covered.getbbox()
        width, height = self.size
        edges = ((left + x1) / width, (top + y1) / height, (left + x2) / width, (top + y2) / height)
        return tuple(min(1000, max(0, round(1000 * edge))) for edge in edges)

    def pasted(self, thing: Thing) -> tuple[int, int, Image.Image]:
        """Left and upper pixel of its mask, and the mask."""
        covered = thing.mask()
        left = round(thing.centre[0] - covered.width / 2)
        top = round(thing.centre[1] - covered.height / 2)
        return left, top, covered

    def draw(self) -> Image.Image:
        rng = np.random.default_rng([self.seed, 77])
        hidden = self.ground_for + [thing.rgb for thing in self.things]
        picture = background(rng, self.size, hidden, self.level)
        for thing in self.things:
            left, top, covered = self.pasted(thing)
            picture.paste(thing.rgb, (left, top), covered)
        return worn(rng, picture, self.level)


def some_shape(rng: np.random.Generator, size: tuple[int, int], level: float, *, colour: Colour | None = None,
               shape: Shape | None = None, limit: float = 0.3) -> Thing:  # fmt: skip
    """A shape without a place. `limit` is its largest radius as a part of the shorter side."""
    colour = colour or COLOURS[rng.integers(len(COLOURS))]
    smallest = 0.13 - 0.03 * level
    return Thing(
        colour=colour,
        rgb=_shade(rng, colour),
        centre=(0.0, 0.0),
        radius=float(min(size) * np.exp(rng.uniform(np.log(smallest), np.log(limit)))),
        degrees=float(rng.uniform(-12, 12) * level),
        shape=shape or SHAPES[rng.integers(len(SHAPES))],
        smooth=bool(rng.random() < 0.8),
    )


def some_text(rng: np.random.Generator, size: tuple[int, int], limit: float = 0.36) -> Thing:
    colour = COLOURS[rng.integers(len(COLOURS))]
    thing = Thing(colour, _shade(rng, colour), (0.0, 0.0), 0.0, text=words.word(rng), font=str(rng.choice(words.FONTS)))
    # letters between 1/7 and `limit` of the shorter side, as far as the width allows
    largest = min(limit * min(size), 0.92 * size[0] / words.width(thing.text, thing.font))
    smallest = min(max(14.0, 0.14 * min(size)), largest)
    return replace(thing, radius=float(rng.uniform(smallest, largest)))


def put(rng: np.random.Generator, scene: Scene, thing: Thing, *, overlap: bool = False, tries: int = 40) -> bool:
    """Adds the thing at a free place; with `overlap` it may cover a little of another colour. False if there is none."""
    half = np.array(thing.mask().size) / 2
    room = np.array(scene.size) - 2 * half
    if (room < 0).any():
        return False
    for _ in range(tries):
        centre = half + rng.random(2) * room
        placed = replace(thing, centre=(float(centre[0]), float(centre[1])))
        if all(_apart(scene, placed, other, overlap) for other in scene.things):
            scene.things.append(placed)
            return True
    return False


def _apart(scene: Scene, a: Thing, b: Thing, overlap: bool) -> bool:
    (aw, ah), (bw, bh) = a.mask().size, b.mask().size
    dx = abs(a.centre[0] - b.centre[0]) - (aw + bw) / 2
    dy = abs(a.centre[1] - b.centre[1]) - (ah + bh) / 2
    gap = GAP * min(scene.size)
    if overlap and a.shape and b.shape and a.colour is not b.colour:
        gap = -0.45 * min(aw, ah, bw, bh)
        return max(dx, dy) > gap and a.radius < 1.6 * b.radius  # a later, much larger one would hide the earlier
    return max(dx, dy) > gap


def _shade(rng: np.random.Generator, colour: Colour) -> tuple[int, int, int]:
    moved = np.array(colour.rgb) + rng.integers(-colour.jitter, colour.jitter + 1, 3)
    return tuple(int(c) for c in np.clip(moved, 0, 255))
