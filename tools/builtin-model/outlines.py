"""The outline of every shape, drawn as an antialiased mask."""

import math

import numpy as np
from PIL import Image, ImageDraw

from palette import SHAPES, Shape

SUPERSAMPLE = 3


def _polygon(count: int, inner: float = 1.0, start: float = -90.0) -> list[tuple[float, float]]:
    radii = (1.0, inner)
    angles = [math.radians(start + 360 * i / count) for i in range(count)]
    return [(radii[i % 2] * math.cos(a), radii[i % 2] * math.sin(a)) for i, a in enumerate(angles)]


def _cross(arm: float = 0.34) -> list[tuple[float, float]]:
    corner = [(-arm, -1), (arm, -1), (arm, -arm)]
    return [turned for k in range(4) for turned in (_turn(p, 90 * k) for p in corner)]


def _heart() -> list[tuple[float, float]]:
    points = []
    for t in np.linspace(0, 2 * math.pi, 48, endpoint=False):
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((x / 17, -(y + 2.5) / 15))
    return points


def _turn(point: tuple[float, float], degrees: float) -> tuple[float, float]:
    a = math.radians(degrees)
    x, y = point
    return x * math.cos(a) - y * math.sin(a), x * math.sin(a) + y * math.cos(a)


# Around the origin, within a circle of radius 1 (the square's corners a little outside). y points down.
_OUTLINES: dict[str, list[tuple[float, float]]] = {
    "circle": _polygon(60),
    "square": [(-0.82, -0.82), (0.82, -0.82), (0.82, 0.82), (-0.82, 0.82)],
    "triangle": _polygon(3),
    "star": _polygon(10, inner=0.42),
    "cross": _cross(),
    "ring": _polygon(60),
    "diamond": [(0, -1), (0.68, 0), (0, 1), (-0.68, 0)],
    "heart": _heart(),
}
assert set(_OUTLINES) == {shape.en for shape in SHAPES}


def mask(shape: Shape, radius: float, degrees: float, smooth: bool) -> Image.Image:
    """Coverage (0 to 255) of the shape in the middle of a square that holds it."""
    scale = SUPERSAMPLE if smooth else 1
    side = 2 * math.ceil(radius * 1.2) + 2
    middle, size = side * scale / 2, radius * scale
    points = [_turn(point, degrees) for point in _OUTLINES[shape.en]]
    canvas = Image.new("L", (side * scale, side * scale))
    draw = ImageDraw.Draw(canvas)
    draw.polygon([(middle + size * x, middle + size * y) for x, y in points], fill=255)
    if shape.en == "ring":
        hole = 0.56 * size
        draw.ellipse((middle - hole, middle - hole, middle + hole, middle + hole), fill=0)
    return canvas.reduce(scale) if smooth else canvas
