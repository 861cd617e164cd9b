"""Scenes: which things, how many, where. Everything follows from the random generator alone."""

from dataclasses import replace

import numpy as np

import words
from palette import COLOURS, SHAPES, Colour
from scene import Scene, Thing, put, some_shape, some_text

KINDS = {"shapes": 0.6, "both": 0.2, "text": 0.18, "empty": 0.02}
NUMBERS = (1.0, 0.9, 0.9, 1.0, 1.3, 1.8)  # how often 1, 2, ... shapes are tried; not all find room
DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1), "still": (0, 0)}


def still_scene(rng: np.random.Generator, size: tuple[int, int], level: float, kind: str | None = None) -> Scene:
    """One picture. `level` from 0 (one or two shapes, plain) to 1 (everything)."""
    kind = kind or str(rng.choice(list(KINDS), p=list(KINDS.values())))
    scene = Scene(size, seed=_seed(rng), level=level)
    if kind in ("text", "both"):
        put(rng, scene, some_text(rng, size))
    if kind in ("shapes", "both"):
        _fill(rng, scene, _number(rng, level), level)
    return scene


def crowded_scene(rng: np.random.Generator, size: tuple[int, int], level: float) -> Scene:
    """Words and as many shapes as find room: much to learn from one picture."""
    scene = Scene(size, seed=_seed(rng), level=level)
    for _ in range(int(rng.integers(0, 4))):
        put(rng, scene, some_text(rng, size, limit=0.2))
    for _ in range(int(rng.integers(3, 9))):
        put(rng, scene, some_shape(rng, size, level, limit=0.2), overlap=bool(rng.random() < 0.3 * level), tries=12)
    return scene


def page_scene(rng: np.random.Generator, size: tuple[int, int], level: float) -> Scene:
    """Lines of words in two colours, as many as find room: for a tower that learns letters."""
    scene = Scene(size, seed=_seed(rng), level=level)
    inks = [some_text(rng, size) for _ in range(2)]
    least = max(14.0, 0.14 * min(size))
    top = float(rng.uniform(0, 0.1 * size[1]))
    while True:
        height = float(rng.uniform(least, max(least, rng.choice([0.2, 0.36, 0.36]) * min(size))))
        left = float(rng.uniform(0, 0.25 * size[0]))
        while thing := _next(rng, replace(inks[rng.integers(2)], radius=height), left, top, size):
            scene.things.append(thing)
            left = thing.centre[0] + thing.mask().width / 2 + height * float(rng.uniform(0.35, 1.2))
        top += height * float(rng.uniform(0.8, 1.4))
        if top + height > size[1]:
            return scene


def _next(rng: np.random.Generator, ink: Thing, left: float, top: float, size: tuple[int, int]) -> Thing | None:
    """A word that begins there, shortened to what fits; None if no letter does."""
    text, font = words.word(rng), str(rng.choice(words.FONTS))
    for length in range(len(text), 0, -1):
        thing = replace(ink, text=text[:length], font=font)
        width, height = thing.mask().size
        if left + width <= size[0] and top + height <= size[1]:
            return replace(thing, centre=(left + width / 2, top + height / 2))
    return None


def _number(rng: np.random.Generator, level: float) -> int:
    weights = np.array(NUMBERS[: 2 + round((len(NUMBERS) - 2) * level)])
    return 1 + int(rng.choice(len(weights), p=weights / weights.sum()))


def _fill(rng: np.random.Generator, scene: Scene, number: int, level: float) -> None:
    # pictures of many shapes in one colour or of one form make counting and telling apart worth learning
    tint = COLOURS[rng.integers(len(COLOURS))] if rng.random() < 0.15 * level else None
    form = SHAPES[rng.integers(len(SHAPES))] if rng.random() < 0.2 * level else None
    limit = 0.34 if number < 3 else 0.24 if number < 5 else 0.19
    for _ in range(number):
        thing = some_shape(rng, scene.size, level, colour=tint, shape=form, limit=limit)
        put(rng, scene, thing, overlap=bool(rng.random() < 0.3 * level))


def changed_pair(rng: np.random.Generator, size: tuple[int, int], level: float) -> tuple[Scene, Scene, str, Thing | None, Colour | None]:
    """Two scenes, what happened (same, colour, missing, added), to which thing, and its new colour."""
    before = Scene(size, seed=_seed(rng), level=level)
    _fill(rng, before, int(rng.integers(1, 3 + round(2 * level))), level)
    after = replace(before, things=list(before.things))
    kind = str(rng.choice(["same", "colour", "missing", "added"]))
    index = int(rng.integers(len(before.things)))
    thing, tint = before.things[index], None
    if kind == "colour":
        tint = [c for c in COLOURS if c is not thing.colour][rng.integers(len(COLOURS) - 1)]
        fresh = some_shape(rng, size, level, colour=tint)
        after.things[index] = replace(thing, colour=tint, rgb=fresh.rgb)
    elif kind == "missing":
        del after.things[index]
    elif kind == "added":
        if not put(rng, after, some_shape(rng, size, level, limit=0.2)):
            kind = "same"
        thing = after.things[-1]
    shared = [t.rgb for t in before.things + after.things]  # one ground that hides nothing in either picture
    before.ground_for = after.ground_for = shared
    return before, after, kind, (None if kind == "same" else thing), tint


def frames(rng: np.random.Generator, size: tuple[int, int], level: float, number: int) -> tuple[list[Scene], str, Thing]:
    """`number` scenes in which one shape moves in an even step; others stand still."""
    direction = str(rng.choice(list(DIRECTIONS), p=[0.22, 0.22, 0.22, 0.22, 0.12]))
    dx, dy = DIRECTIONS[direction]
    first = Scene(size, seed=_seed(rng), level=level)
    mover = some_shape(rng, size, level, limit=0.2)
    margin = 1.25 * mover.radius + 2
    way = np.array(size) * rng.uniform(0.3, 0.6) * np.array([abs(dx), abs(dy)])
    room = np.array(size) - 2 * margin
    way = np.minimum(way, 0.95 * room)
    start = margin + rng.random(2) * (room - way)
    end = start + way
    if dx + dy < 0:
        start, end = end, start
    steps = np.linspace(0, 1, number)
    path = [tuple((start + t * (end - start)).tolist()) for t in steps]
    for _ in range(int(rng.integers(0, 1 + round(2 * level)))):
        other = some_shape(rng, size, level, limit=0.16)
        swept = replace(first, things=[*first.things, *(replace(mover, centre=p) for p in path)])
        if put(rng, swept, other):
            first.things.append(swept.things[-1])
    scenes = [replace(first, things=[*first.things, replace(mover, centre=p)]) for p in path]
    return scenes, direction, mover


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))
