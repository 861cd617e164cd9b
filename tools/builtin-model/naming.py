"""Names of things and places in both languages."""

from palette import article
from scene import Scene, Thing

_BORDER = 0.03  # nobody is asked about a thing this close to a border between two places

_PLACES = {
    (-1, -1): ("at the top left", "左上方"), (0, -1): ("at the top", "上方"), (1, -1): ("at the top right", "右上方"),
    (-1, 0): ("on the left", "左边"), (0, 0): ("in the center", "中间"), (1, 0): ("on the right", "右边"),
    (-1, 1): ("at the bottom left", "左下方"), (0, 1): ("at the bottom", "下方"), (1, 1): ("at the bottom right", "右下方"),
}  # fmt: skip
# direction of y is down; (relation before a noun, direction as an answer)
RELATIONS = {
    "left": ("left of", "左边"), "right": ("right of", "右边"), "above": ("above", "上面"), "below": ("below", "下面"),
}  # fmt: skip


def name(thing: Thing, language: str) -> str:
    if thing.text:
        return "word" if language == "en" else "文字"
    if language == "en":
        return f"{thing.colour.en} {thing.shape.en}"
    return f"{thing.colour.zh}{thing.shape.zh}"


def with_article(thing: Thing, language: str) -> str:
    """As it is listed in a description."""
    if thing.text:
        return f"the word {thing.text}" if language == "en" else f"文字{thing.text}"
    return article(name(thing, "en")) if language == "en" else name(thing, "zh")


def place_of(scene: Scene, thing: Thing) -> tuple[int, int] | None:
    """One of nine fields, as (-1 | 0 | 1, -1 | 0 | 1); None close to a border."""
    third = []
    for part in scene.place(thing):
        if min(abs(part - 1 / 3), abs(part - 2 / 3)) < _BORDER:
            return None
        third.append(int(part * 3) - 1)
    return third[0], third[1]


def place_name(place: tuple[int, int], language: str) -> str:
    return _PLACES[place][language == "zh"]


def relation(scene: Scene, thing: Thing, other: Thing) -> str | None:
    """The direction from `other` to `thing`; None where two directions are nearly as good."""
    (x, y), (ox, oy) = thing.centre, other.centre
    dx, dy = x - ox, y - oy
    if max(abs(dx), abs(dy)) < 0.15 * min(scene.size) or max(abs(dx), abs(dy)) < 1.6 * min(abs(dx), abs(dy)):
        return None
    if abs(dx) > abs(dy):
        return "left" if dx < 0 else "right"
    return "above" if dy < 0 else "below"


def sentence(text: str, language: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if language == "en" else f"{text}。"


def listed(items: list[str], language: str) -> str:
    if language == "zh":
        return "、".join(items)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
