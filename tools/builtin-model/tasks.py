"""Questions about one picture. Every task takes (rng, scene, language) and gives the slots of its wording and the
answer, or None where the scene offers no unambiguous question."""

import json
from collections import Counter
from collections.abc import Callable

import numpy as np

from naming import RELATIONS, listed, name, place_name, place_of, relation, sentence, with_article
from palette import COLOURS, SHAPES, article
from scene import Scene, Thing

Slots = dict[str, str]
Task = Callable[[np.random.Generator, Scene, str], tuple[Slots, str] | None]


def left_to_right(things: list[Thing]) -> list[Thing]:
    return sorted(things, key=lambda thing: (thing.centre[0], thing.centre[1]))


def unique(scene: Scene, by: Callable[[Thing], object]) -> list[Thing]:
    counts = Counter(by(thing) for thing in scene.shapes)
    return [thing for thing in scene.shapes if counts[by(thing)] == 1]


def named_once(scene: Scene, with_text: bool = False) -> list[Thing]:
    found = unique(scene, lambda thing: (thing.colour, thing.shape))
    return found + (scene.texts if with_text and len(scene.texts) == 1 else [])


def _pick(rng: np.random.Generator, items: list):
    return items[rng.integers(len(items))] if items else None


def boxes(scene: Scene, things: list[Thing], language: str) -> str:
    """As Qwen3-VL writes it: a fenced JSON list, one object a line, coordinates 0 to 1000."""
    found = [{"bbox_2d": list(scene.box(t)), "label": t.text or name(t, language)} for t in things]
    lines = ",\n".join("\t" + json.dumps(item, ensure_ascii=False) for item in found)
    return f"```json\n[\n{lines}\n]\n```"


def describe(rng, scene, language):
    if not scene.things:
        return {}, "The picture is empty." if language == "en" else "图中什么都没有。"
    items = listed([with_article(thing, language) for thing in left_to_right(scene.things)], language)
    return {}, sentence(items, language) if language == "en" else f"图中有{items}。"


def colour(rng, scene, language):
    if len(scene.shapes) == 1 and rng.random() < 0.4:
        thing, noun = scene.shapes[0], {"en": "shape", "zh": "图形"}[language]
    elif thing := _pick(rng, unique(scene, lambda t: t.shape)):
        noun = getattr(thing.shape, language)
    else:
        return None
    return {"shape": noun}, sentence(getattr(thing.colour, language), language)


def shape(rng, scene, language):
    thing = _pick(rng, unique(scene, lambda t: t.colour))
    if not thing or any(text.colour is thing.colour for text in scene.texts):
        return None
    noun = getattr(thing.shape, language)
    return {"colour": getattr(thing.colour, language)}, sentence(article(noun) if language == "en" else noun, language)


def count(rng, scene, language):
    """All shapes, those of one colour, of one shape, or of both; sometimes of none that is there."""
    kind, thing = rng.random(), _pick(rng, scene.shapes)
    of_colour = COLOURS[rng.integers(len(COLOURS))] if not thing or rng.random() < 0.15 else thing.colour
    of_shape = SHAPES[rng.integers(len(SHAPES))] if not thing or rng.random() < 0.15 else thing.shape
    plural = {"en": of_shape.plural, "zh": of_shape.zh}[language]
    every = {"en": "shapes", "zh": "图形"}[language]
    tint = getattr(of_colour, language) + (" " if language == "en" else "")
    if kind < 0.5:
        things, fits = every, lambda t: True
    elif kind < 0.7:
        things, fits = tint + every, lambda t: t.colour is of_colour
    elif kind < 0.9:
        things, fits = plural, lambda t: t.shape is of_shape
    else:
        things, fits = tint + plural, lambda t: t.colour is of_colour and t.shape is of_shape
    return {"things": things}, str(sum(map(fits, scene.shapes)))


def where(rng, scene, language):
    thing = _pick(rng, [t for t in named_once(scene, with_text=True) if place_of(scene, t)])
    if not thing:
        return None
    noun = name(thing, language)
    if thing in unique(scene, lambda t: t.shape) and rng.random() < 0.4:
        noun = getattr(thing.shape, language)
    return {"thing": noun}, sentence(place_name(place_of(scene, thing), language), language)


def what_at(rng, scene, language):
    """A place with one thing in it, and no other within reach of that place."""
    fields = Counter(place_of(scene, thing) for thing in scene.things)
    thing = _pick(rng, [t for t in scene.shapes if fields[place_of(scene, t)] == 1])
    if not thing or fields[None]:
        return None
    answer = sentence(with_article(thing, language), language)
    return {"place": place_name(place_of(scene, thing), language)}, answer


def relative(rng, scene, language):
    pair = _related(rng, scene)
    if not pair:
        return None
    thing, other, how = pair
    answer, slots = RELATIONS[how], {"thing": name(thing, language), "other": name(other, language)}
    return slots, sentence(f"{answer[0]} the {slots['other']}" if language == "en" else answer[1], language)


def side(rng, scene, language):
    pair = _related(rng, scene)
    if not pair:
        return None
    thing, other, how = pair
    one, two = ("left", "right") if how in ("left", "right") else ("above", "below")
    index = language == "zh"
    slots = {"thing": name(thing, language), "other": name(other, language)}
    slots |= {"one": RELATIONS[one][index], "two": RELATIONS[two][index]}
    return slots, sentence(how if language == "en" else RELATIONS[how][1], language)


def _related(rng, scene) -> tuple[Thing, Thing, str] | None:
    known = named_once(scene)
    pairs = [(a, b, how) for a in known for b in known if a is not b and (how := relation(scene, a, b))]
    return _pick(rng, pairs)


def exists(rng, scene, language):
    """A no often has the right colour or the right shape. Follow-ups begin with a yes, so here most are no."""
    there, kept = _pick(rng, scene.shapes), str(rng.choice(["both", "colour", "shape", "none"], p=[0.22, 0.26, 0.26, 0.26]))
    tint = there.colour if there and kept in ("both", "colour") else COLOURS[rng.integers(len(COLOURS))]
    form = there.shape if there and kept in ("both", "shape") else SHAPES[rng.integers(len(SHAPES))]
    if rng.random() < 0.3:
        nouns, found = (form.en, form.plural, form.zh), any(t.shape is form for t in scene.shapes)
    elif rng.random() < 0.3:
        nouns = (f"{tint.en} shape", f"{tint.en} shapes", f"{tint.zh}图形")
        found = any(t.colour is tint for t in scene.shapes)
    else:
        nouns = (f"{tint.en} {form.en}", f"{tint.en} {form.plural}", f"{tint.zh}{form.zh}")
        found = any(t.colour is tint and t.shape is form for t in scene.shapes)
    slots = {"a_thing": article(nouns[0]), "things": nouns[1], "thing": nouns[2]}
    if language == "en":
        return slots, "Yes." if found else "No."
    return slots, "有。" if found else "没有。"


def read(rng, scene, language):
    return ({}, scene.texts[0].text) if len(scene.texts) == 1 else None


def find(rng, scene, language):
    if scene.shapes and rng.random() < 0.06 and (missing := _missing(rng, scene)):
        tint, form = missing
        if language == "en":
            return {"thing": f"{tint.en} {form.en}"}, f"There is no {tint.en} {form.en}."
        return {"thing": tint.zh + form.zh}, f"没有{tint.zh}{form.zh}。"
    thing = _pick(rng, named_once(scene, with_text=True))
    return ({"thing": name(thing, language)}, boxes(scene, [thing], language)) if thing else None


def find_all(rng, scene, language):
    if not scene.shapes:
        return None
    chosen = _pick(rng, scene.shapes)
    kind = rng.random()
    if kind < 0.4:
        things, fits = {"en": "shapes", "zh": "图形"}[language], lambda t: True
    elif kind < 0.7:
        things, fits = {"en": chosen.shape.plural, "zh": chosen.shape.zh}[language], lambda t: t.shape is chosen.shape
    else:
        things = {"en": f"{chosen.colour.en} shapes", "zh": f"{chosen.colour.zh}图形"}[language]
        fits = lambda t: t.colour is chosen.colour  # noqa: E731
    return {"things": things}, boxes(scene, left_to_right([t for t in scene.shapes if fits(t)]), language)


def _missing(rng, scene):
    tint, form = COLOURS[rng.integers(len(COLOURS))], SHAPES[rng.integers(len(SHAPES))]
    return None if any(t.colour is tint and t.shape is form for t in scene.shapes) else (tint, form)


TASKS: dict[str, Task] = {
    "describe": describe, "colour": colour, "shape": shape, "count": count, "where": where, "what_at": what_at,
    "relative": relative, "side": side, "exists": exists, "read": read, "find": find, "find_all": find_all,
}  # fmt: skip
WEIGHTS = {"describe": 2.5, "count": 2.0, "find": 5.0, "find_all": 2.5, "read": 4.0, "what_at": 1.0, "side": 0.4, "relative": 0.6,
           "colour": 0.5, "shape": 0.5, "where": 0.5, "exists": 0.6}  # fmt: skip
