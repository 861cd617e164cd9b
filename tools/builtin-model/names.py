"""A drill for the language model: names, and what of a scene each one names. One token finds it, nothing is answered.

A question gives one word of an answer to learn from; a name gives all that is known of its thing.
"""

from dataclasses import dataclass

import numpy as np

from palette import COLOURS, SHAPES
from scene import Scene, Thing

NUMBER = 36  # names about a scene
MOST = 7  # things that are counted


@dataclass(frozen=True)
class Name:
    text: str
    things: list[Thing]  # all that it fits


def names(rng: np.random.Generator, scene: Scene) -> list[Name]:
    """Half of them of things that are there; colours, shapes, both, in both languages."""
    found = []
    for _ in range(NUMBER):
        thing = scene.shapes[rng.integers(len(scene.shapes))] if scene.shapes and rng.random() < 0.7 else None
        tint = thing.colour if thing and rng.random() < 0.85 else COLOURS[rng.integers(len(COLOURS))]
        form = thing.shape if thing and rng.random() < 0.85 else SHAPES[rng.integers(len(SHAPES))]
        chinese, plural, kind = rng.random() < 0.3, rng.random() < 0.3, rng.random()
        noun = form.zh if chinese else form.plural if plural else form.en
        every = "图形" if chinese else "shapes" if plural else "shape"
        colour = tint.zh if chinese else f"{tint.en} "
        if kind < 0.35:
            text, fits = noun, [t for t in scene.shapes if t.shape is form]
        elif kind < 0.55:
            text, fits = colour + every, [t for t in scene.shapes if t.colour is tint]
        elif kind < 0.92:
            text, fits = colour + noun, [t for t in scene.shapes if t.shape is form and t.colour is tint]
        elif kind < 0.96:
            text, fits = every, scene.shapes
        else:
            text, fits = "文字" if chinese else "word", scene.texts
        found.append(Name(text if chinese else f" {text}", list(fits)))
    return found
