"""What lies behind the shapes, and what a camera or a file format does to the whole."""

import io

import numpy as np
from PIL import Image

CONTRAST = 95.0  # smallest distance in RGB between a background and a thing on it


def background(rng: np.random.Generator, size: tuple[int, int], things: list[tuple[int, int, int]], level: float) -> Image.Image:
    """Plain, gradient or noisy; never close in colour to any of `things`. `level` 0 is always plain."""
    width, height = size
    kind = rng.choice(["plain", "gradient", "noise"], p=[1 - 0.6 * level, 0.3 * level, 0.3 * level])
    first = _clear_of(rng, things)
    if kind == "plain":
        return Image.new("RGB", size, tuple(int(c) for c in first))
    if kind == "gradient":
        second = _clear_of(rng, things, near=first)
        angle = rng.uniform(0, 2 * np.pi)
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        ramp = np.cos(angle) * x / width + np.sin(angle) * y / height
        ramp = (ramp - ramp.min()) / max(float(np.ptp(ramp)), 1e-6)
        pixels = first + ramp[..., None] * (second - first)
    else:
        strength = int(rng.integers(6, 30))
        grain = int(rng.choice([1, 1, 2, 4]))
        shape = (-(-height // grain), -(-width // grain), int(rng.choice([1, 3])))
        noise = rng.integers(-strength, strength + 1, shape, dtype=np.int16)
        pixels = first + noise.repeat(grain, 0).repeat(grain, 1)[:height, :width]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def worn(rng: np.random.Generator, picture: Image.Image, level: float) -> Image.Image:
    """Sometimes a round trip through JPEG, sometimes sensor noise."""
    if rng.random() < 0.35 * level:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=int(rng.integers(35, 95)))
        picture = Image.open(file).convert("RGB")
    if rng.random() < 0.15 * level:
        noise = rng.integers(-10, 11, (picture.height, picture.width, 3), dtype=np.int16)
        picture = Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))
    return picture


def _clear_of(rng: np.random.Generator, things: list[tuple[int, int, int]], near: np.ndarray | None = None) -> np.ndarray:
    """A colour with contrast to all things. With `near`, the way there has contrast too."""
    best, best_distance = np.array([128.0, 128.0, 128.0]), -1.0
    for _ in range(24):
        if rng.random() < 0.4:
            colour = np.full(3, rng.integers(0, 256), dtype=np.float64)
        else:
            colour = rng.integers(0, 256, 3).astype(np.float64)
        line = [colour] if near is None else [near + t * (colour - near) for t in (0.33, 0.66, 1.0)]
        distance = min((float(np.linalg.norm(c - thing)) for c in line for thing in things), default=CONTRAST)
        if distance >= CONTRAST:
            return colour
        if distance > best_distance:
            best, best_distance = colour, distance
    return best
