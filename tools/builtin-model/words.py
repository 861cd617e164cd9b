"""Printed words: fonts that may be passed on, and what is written with them."""

import functools
import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

MAX_LENGTH = 7
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono-Bold", "DejaVuSerif-Bold")

KNOWN = (
    "apple bird black book bread bus cake car cat chair city clock cloud coat cold cup dance day desk dog door "
    "dream drum earth egg farm fire fish flag flower food frog game garden gate gift gold good grass green hand "
    "happy hat heart hello home horse house ice island jam key king kite lake lamp leaf lemon light lion love map "
    "market milk moon mouse music name night north nose ocean open orange paper park peace pen piano pig plane "
    "plant quiet rabbit rain red river road rock rose salt school sea ship shoe sky snow soap song south space "
    "spoon spring star stone stop summer sun table taxi tea tiger time train tree truck under violet wall watch "
    "water west wind window winter wolf wood world yellow zebra zero"
).split()
_LETTERS = list("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DIGITS = list("0123456789")


def word(rng: np.random.Generator) -> str:
    kind = rng.random()
    if kind < 0.3:
        return str(rng.choice(KNOWN)).upper()
    if kind < 0.75:
        return "".join(rng.choice(_LETTERS, int(rng.integers(2, MAX_LENGTH))))
    return "".join(rng.choice(_DIGITS, int(rng.integers(1, MAX_LENGTH))))


def mask(text: str, font: str, height: int) -> Image.Image:
    """Coverage (0 to 255) of the text in letters of about `height` pixels, cut to what is drawn."""
    face = _face(font, height)
    left, top, right, bottom = face.getbbox(text)
    canvas = Image.new("L", (int(right - left) + 4, int(bottom - top) + 4))
    ImageDraw.Draw(canvas).text((2 - left, 2 - top), text, fill=255, font=face)
    return canvas.crop(canvas.getbbox())


def width(text: str, font: str) -> float:
    """In heights of its letters."""
    return _face(font, 100).getlength(text) / 100


def middles(text: str, font: str, height: int) -> list[float]:
    """The middle of every letter, 0 (left) to 1 (right end of the word)."""
    face = _face(font, height)
    ends = [face.getlength(text[:count]) for count in range(len(text) + 1)]
    return [(a + b) / 2 / ends[-1] for a, b in zip(ends, ends[1:], strict=False)]


@functools.lru_cache(maxsize=512)
def _face(font: str, height: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(_folder() / f"{font}.ttf"), height)


@functools.cache
def _folder() -> Path:
    places = [Path("/usr/share/fonts/truetype/dejavu")]
    found = importlib.util.find_spec("matplotlib")
    if found and found.submodule_search_locations:
        places.insert(0, Path(found.submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf")
    for place in places:
        if all((place / f"{font}.ttf").exists() for font in FONTS):
            return place
    raise FileNotFoundError("the DejaVu fonts are missing: pip install matplotlib, or apt-get install fonts-dejavu")
