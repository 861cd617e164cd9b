"""What stands where in a picture, token by token: a dense lesson for the vision tower.

Answers alone teach a tower slowly, since a whole sentence hangs on a few patches. In training a linear layer on top of
each image embedding also names what the token's part of the picture shows. It is not part of the model that is shipped.
"""

import numpy as np

from grids import Grid
from palette import COLOURS, SHAPES
from words import MAX_LENGTH
from scene import Scene, Thing

NONE = -100  # no lesson here, as cross_entropy ignores it
SAMPLES = 4  # a side of a token, to find what covers it
CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
KINDS = 1 + len(SHAPES) + 1  # nothing, a shape, a word
EDGES = 4
SLOTS = 4  # letters of a word in one token: the first goes into slot 0, the fifth too, so neighbours never share one
BORDER = 0.1  # of a token, to either side
PATCHES = 4  # of a token, row by row: each may hold the middle of one letter

# classes of each part of the lesson; a token has several of some
PARTS = {"kind": (1, KINDS), "colour": (1, len(COLOURS)), "centre": (1, 2), "hundreds": (EDGES, 11),
         "letters": (SLOTS, 1 + len(CHARACTERS)), "order": (SLOTS, MAX_LENGTH)}  # fmt: skip
NAMED = sum(count for count, _ in PARTS.values())
BOX = slice(NAMED, NAMED + EDGES)  # behind the classes the edges of the thing's box, 0 to 1000
PRINTED = slice(BOX.stop, BOX.stop + PATCHES)  # and behind them the letter of each patch, 0 for none
LABELS = PRINTED.stop
CLASSES = sum(count * classes for count, classes in PARTS.values())


def targets(scene: Scene, grid: Grid) -> np.ndarray:
    """[rows * columns, LABELS]: the classes in the order of PARTS, then left, top, right, bottom, then the patches' letters."""
    rows, columns = grid
    owners = _owners(scene, grid)
    found = np.full((rows, columns, LABELS), NONE)
    found[..., 0] = 0  # kind
    found[..., 2] = 0  # centre
    found[..., NAMED - 2 * SLOTS : NAMED - SLOTS] = 0  # letters
    found[..., PRINTED] = 0
    for index, thing in enumerate(scene.things):
        mine = owners == index
        found[mine, 0] = 1 + SHAPES.index(thing.shape) if thing.shape else KINDS - 1
        found[mine, 1] = COLOURS.index(thing.colour)
        box = scene.box(thing)
        found[mine, 3:7] = [edge // 100 for edge in box]
        found[mine, BOX] = box
        x, y = scene.place(thing)
        found[min(rows - 1, int(y * rows)), min(columns - 1, int(x * columns)), 2] = 1
        if thing.text:
            _letters(scene, thing, found, mine)
    return found.reshape(-1, LABELS)


def of_thing(scene: Scene, thing: Thing | None) -> np.ndarray:
    """[LABELS] of what is known of a thing wherever one looks; all NONE without one."""
    found = np.full(LABELS, NONE)
    if thing:
        box = scene.box(thing)
        found[0] = 1 + SHAPES.index(thing.shape) if thing.shape else KINDS - 1
        found[1] = COLOURS.index(thing.colour)
        found[3:7] = [edge // 100 for edge in box]
        found[BOX] = box
    return found


def _owners(scene: Scene, grid: Grid) -> np.ndarray:
    """[rows, columns]: the thing that covers most of the token, -1 for none; a thing's middle is always its own."""
    rows, columns = grid
    height, width = rows * SAMPLES, columns * SAMPLES
    xs = (np.arange(width) + 0.5) / width * scene.size[0]
    ys = (np.arange(height) + 0.5) / height * scene.size[1]
    top = np.full((height, width), -1)
    for index, thing in enumerate(scene.things):
        left, upper, mask = scene.pasted(thing)
        covers = np.asarray(mask) > (127 if thing.shape else -1)
        columns_in = np.floor(xs - left).astype(int)
        rows_in = np.floor(ys - upper).astype(int)
        across = np.flatnonzero((columns_in >= 0) & (columns_in < mask.width))
        down = np.flatnonzero((rows_in >= 0) & (rows_in < mask.height))
        part = covers[np.ix_(rows_in[down], columns_in[across])]
        region = top[np.ix_(down, across)]
        top[np.ix_(down, across)] = np.where(part, index, region)
    cells = top.reshape(rows, SAMPLES, columns, SAMPLES).swapaxes(1, 2).reshape(rows, columns, -1)
    owners, most = np.full((rows, columns), -1), np.zeros((rows, columns), int)
    for index, thing in enumerate(scene.things):
        covered = (cells == index).sum(-1)
        x, y = scene.place(thing)
        covered[min(rows - 1, int(y * rows)), min(columns - 1, int(x * columns))] += SAMPLES**2
        owners[covered > most] = index
        most = np.maximum(most, covered)
    return owners


def _letters(scene: Scene, thing: Thing, found: np.ndarray, mine: np.ndarray) -> None:
    """A token tells letters of the word that owns it, and their numbers in the word; a patch tells any. A letter on the
    border of two tokens is told by both: nobody has to guess whose it is."""
    rows, columns, _ = found.shape
    left, top, mask = scene.pasted(thing)
    y = (top + mask.height / 2) / scene.size[1] * rows
    for number, (character, middle) in enumerate(zip(thing.text, thing.middles(), strict=True)):
        x = (left + middle * mask.width) / scene.size[0] * columns
        letter, slot = 1 + CHARACTERS.index(character), number % SLOTS
        found[int(y), int(x), PRINTED.start + 2 * int(y % 1 >= 0.5) + int(x % 1 >= 0.5)] = letter
        for row, column in {(int(y + dy), int(x + dx)) for dy in (-BORDER, BORDER) for dx in (-BORDER, BORDER)}:
            if row < rows and column < columns and mine[row, column]:
                found[row, column, NAMED - 2 * SLOTS + slot] = letter
                found[row, column, NAMED - SLOTS + slot] = number
