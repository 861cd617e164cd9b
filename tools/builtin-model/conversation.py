"""Pictures with questions and answers. `sample` is the only source of data: the same arguments, the same bytes."""

from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from compose import changed_pair, crowded_scene, frames, page_scene, still_scene
from naming import name, place_name, place_of, sentence
from scene import Scene
from tasks import TASKS, WEIGHTS, boxes, unique
from unrelated import unrelated
from wordings import wording

SPLITS = {"train": 0, "held_out": 1}
FAMILIES = {"one": 0.62, "two": 0.2, "frames": 0.18}
LESSON = {"one": 6, "two": 3, "frames": 3}  # further questions about the same pictures
SIMPLE = ("colour", "shape", "exists", "count", "where", "what_at", "read")
DRILL = 14  # questions
CHINESE = 0.3
SEVERAL = ("difference", "same", "movement")
FOLLOW_UPS = ("and_colour", "and_where", "and_find", "and_other")
ALL_TASKS = (*TASKS, *FOLLOW_UPS, *SEVERAL, "unrelated")
SYSTEM = "You are a helpful assistant."


@dataclass(frozen=True)
class Turn:
    task: str
    question: str
    answer: str


@dataclass
class Conversation:
    scenes: list[Scene] = field(default_factory=list)
    pictures: list[Image.Image] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    language: str = "en"
    system: str | None = None
    question_first: bool = False  # the first message holds its text before the pictures
    story: list = field(default_factory=list)  # what happens between several pictures

    def messages(self, until: int | None = None) -> list[dict]:
        """As for apply_chat_template; with `until`, up to the question of that turn."""
        turns = self.turns if until is None else self.turns[: until + 1]
        result: list[dict] = [{"role": "system", "content": self.system}] if self.system else []
        for index, turn in enumerate(turns):
            content: list[dict] = [{"type": "text", "text": turn.question}]
            if index == 0:
                pictures = [{"type": "image"} for _ in self.scenes]
                content = content + pictures if self.question_first else pictures + content
            result.append({"role": "user", "content": content})
            if index != until:
                result.append({"role": "assistant", "content": turn.answer})
        return result


def sample(seed: int, index: int, split: str, size: tuple[int, int], *, level: float = 1.0, family: str = "one",
           task: str | None = None, drawn: bool = True) -> Conversation:  # fmt: skip
    """One conversation of pictures of `size`. With `task`, its last turn is of that task; without `drawn`, texts only."""
    rng = np.random.default_rng([SPLITS[split], seed, index])
    held_out = split == "held_out"
    talk = Conversation(language="zh" if rng.random() < CHINESE else "en")
    if task in ("difference", "same") or (task is None and family == "two"):
        _two(rng, talk, size, level, held_out, task)
    elif task == "movement" or (task is None and family == "frames"):
        _moving(rng, talk, size, level, held_out)
    elif task == "unrelated" or (task is None and rng.random() < 0.05):
        question, answer, talk.language = unrelated(rng, held_out)
        if rng.random() < 0.7:
            talk.scenes = [still_scene(rng, size, level)]
        talk.turns = [Turn("unrelated", question, answer)]
    else:
        _one(rng, talk, size, level, held_out, task)
    if drawn:
        talk.pictures = [scene.draw() for scene in talk.scenes]
    if not held_out:
        talk.system = SYSTEM if rng.random() < 0.1 else None
        talk.question_first = bool(talk.scenes) and rng.random() < 0.08
        talk.turns = [Turn(t.task, _careless(rng, t.question), t.answer) for t in talk.turns]
    return talk


def single(seed: int, index: int, size: tuple[int, int], *, level: float = 1.0) -> list[Conversation]:
    """A lesson without words for the vision tower: one picture, most of them full."""
    rng = np.random.default_rng([SPLITS["train"], seed, index])
    make = (page_scene, crowded_scene, still_scene)[rng.choice(3, p=[0.6, 0.1, 0.3])]
    scene = make(rng, size, level)
    return [Conversation([scene], [scene.draw()])]


def lesson(seed: int, index: int, size: tuple[int, int], *, level: float = 1.0, family: str = "one", drawn: bool = True) -> list[Conversation]:
    """A training conversation and further ones about the same pictures, none of which knows of the others."""
    first = sample(seed, index, "train", size, level=level, family=family, drawn=drawn)
    talks = [first]
    if not first.scenes or first.question_first:
        return talks
    for number in range(LESSON[family]):
        rng = np.random.default_rng([SPLITS["train"], seed, index, number])
        talk = Conversation(first.scenes, language="zh" if rng.random() < CHINESE else "en", story=first.story)
        if family == "two" and first.story:
            _compare(rng, talk, False, None)
        elif family == "frames" and first.story:
            _follow(rng, talk, False)
        elif family == "one":
            _about(rng, talk, False, _choose(rng, first.scenes[0], 1))
        if talk.turns:
            talk.turns = [Turn(t.task, _careless(rng, t.question), t.answer) for t in talk.turns]
            talks.append(talk)
    return talks


def drill(seed: int, index: int, size: tuple[int, int], *, level: float = 1.0) -> list[Conversation]:
    """Many short questions about one undrawn picture, each of which one look answers: what a reader learns first."""
    rng = np.random.default_rng([SPLITS["train"], seed, index])
    scene = still_scene(rng, size, level)
    talks = []
    for _ in range(DRILL):
        talk = Conversation([scene], language="zh" if rng.random() < CHINESE else "en")
        task = str(rng.choice(SIMPLE)) if scene.shapes else "read"
        _about(rng, talk, False, [task], chains=False)
        if talk.turns:
            talks.append(talk)
    return talks or [Conversation([scene])]


def examination(seed: int, index: int, size: tuple[int, int], family: str = "one") -> list[Conversation]:
    """Held-out pictures, and one conversation of every task that they offer a question for."""
    rng = np.random.default_rng([SPLITS["held_out"], seed, index, 3])
    if family == "two":
        before, after, *story = changed_pair(rng, size, 1.0)
        scenes, wanted = [before, after], ["difference", "same"]
    elif family == "frames":
        scenes, *story = frames(rng, size, 1.0, int(rng.integers(3, 5)))
        wanted = ["movement"]
    else:
        scenes, story = [still_scene(rng, size, 1.0)], []
        wanted = [*TASKS, *FOLLOW_UPS]
    pictures = [scene.draw() for scene in scenes]
    talks = []
    for task in wanted:
        talk = Conversation(scenes, pictures, language="zh" if rng.random() < CHINESE else "en", story=story)
        if family == "two":
            _compare(rng, talk, True, task)
        elif family == "frames":
            _follow(rng, talk, True)
        else:
            _about(rng, talk, True, [task], chains=False)
        if talk.turns:
            talks.append(talk)
    return talks


def _ask(rng: np.random.Generator, task: str, language: str, held_out: bool, slots: dict, answer: str) -> Turn:
    return Turn(task, wording(rng, task, language, held_out).format(**slots), answer)


def _one(rng, talk: Conversation, size, level: float, held_out: bool, task: str | None) -> None:
    kind = "text" if task == "read" and rng.random() < 0.5 else None
    while not talk.turns:
        scene = still_scene(rng, size, level, kind)
        talk.scenes = [scene]
        wanted = [task] if task else _choose(rng, scene, int(rng.integers(2, 5)))
        _about(rng, talk, held_out, wanted, chains=task is None)


def _about(rng, talk: Conversation, held_out: bool, tasks: list[str], chains: bool = True) -> None:
    scene = talk.scenes[0]
    for each in tasks:
        if each in FOLLOW_UPS or (chains and each == "exists" and rng.random() < 0.3):
            talk.turns += _chain(rng, scene, talk.language, held_out, each)
        elif found := TASKS[each](rng, scene, talk.language):
            talk.turns.append(_ask(rng, each, talk.language, held_out, *found))


def _choose(rng, scene: Scene, number: int) -> list[str]:
    weights = np.array([WEIGHTS.get(task, 1.0) for task in TASKS])
    if not scene.shapes:  # words alone: little else to ask
        weights = np.array([{"read": 4.0, "find": 2.0, "describe": 1.5, "exists": 0.3, "count": 0.3, "where": 1.0}.get(t, 0) for t in TASKS])
    chosen = rng.choice(list(TASKS), number, replace=False, p=weights / weights.sum())
    return [str(task) for task in chosen]


def _chain(rng, scene: Scene, language: str, held_out: bool, last: str) -> list[Turn]:
    """A question about one shape, then what else is known of it; ends with the turn `last` if that is a follow-up."""
    known = [thing for thing in unique(scene, lambda t: t.shape) if place_of(scene, thing)]
    if not known:
        return []
    thing = known[rng.integers(len(known))]
    noun = getattr(thing.shape, language)
    yes, plural = {"en": "Yes.", "zh": "有。"}[language], {"en": thing.shape.plural, "zh": noun}[language]
    article_noun = f"a {noun}" if language == "en" else noun
    opening = {"a_thing": article_noun, "things": plural, "thing": noun}
    turns = [_ask(rng, "exists", language, held_out, opening, yes)]
    tint = sentence(getattr(thing.colour, language), language)
    others = [other for other in known if other is not thing]
    facts = {
        "and_colour": ({}, tint),
        "and_where": ({}, sentence(place_name(place_of(scene, thing), language), language)),
        "and_find": ({}, boxes(scene, [thing], language)),
    }
    if others:
        other = others[rng.integers(len(others))]
        facts["and_other"] = ({"shape": getattr(other.shape, language)}, sentence(getattr(other.colour, language), language))
    order = [str(key) for key in rng.permutation(list(facts)[:3])][: int(rng.integers(1, 4))]
    if last == "and_other" or (last not in FOLLOW_UPS and "and_other" in facts and rng.random() < 0.4):
        if "and_other" not in facts:
            return []
        order = ["and_colour", "and_other"]
    elif last in FOLLOW_UPS:
        order = [key for key in order if key != last][:1] + [last]
    return turns + [_ask(rng, key, language, held_out, *facts[key]) for key in order]


def _two(rng, talk: Conversation, size, level: float, held_out: bool, task: str | None) -> None:
    before, after, *talk.story = changed_pair(rng, size, level)
    talk.scenes = [before, after]
    _compare(rng, talk, held_out, task)


def _compare(rng, talk: Conversation, held_out: bool, task: str | None) -> None:
    kind, thing, tint = talk.story
    english = talk.language == "en"
    noun = name(thing, talk.language) if thing else ""
    told = {
        "same": ("There is no difference.", "没有不同。"),
        "colour": (f"The {noun} became {tint.en}.", f"{noun}变成了{tint.zh}。") if tint else ("", ""),
        "missing": (f"The {noun} is missing.", f"{noun}不见了。"),
        "added": (f"The {noun} was added.", f"多了{noun}。"),
    }[kind][0 if english else 1]
    equal = kind == "same"
    same = ("Yes." if equal else "No.") if english else ("一样。" if equal else "不一样。")
    answers = {"difference": told, "same": same}
    wanted = [task] if task else [str(t) for t in rng.permutation(list(answers))][: int(rng.integers(1, 3))]
    talk.turns = [_ask(rng, t, talk.language, held_out, {}, answers[t]) for t in wanted]


def _moving(rng, talk: Conversation, size, level: float, held_out: bool) -> None:
    talk.scenes, *talk.story = frames(rng, size, level, int(rng.integers(3, 5)))
    _follow(rng, talk, held_out)


def _follow(rng, talk: Conversation, held_out: bool) -> None:
    direction, mover = talk.story
    answer = {
        "left": ("To the left.", "向左。"), "right": ("To the right.", "向右。"), "up": ("Up.", "向上。"),
        "down": ("Down.", "向下。"), "still": ("It does not move.", "没有移动。"),
    }[direction]  # fmt: skip
    slots = {"thing": name(mover, talk.language)}
    talk.turns = [_ask(rng, "movement", talk.language, held_out, slots, answer[talk.language == "zh"])]


def _careless(rng, question: str) -> str:
    """People leave out capitals and marks."""
    if rng.random() < 0.12:
        question = question[0].lower() + question[1:]
    if rng.random() < 0.12:
        question = question.rstrip(".?。？")
    return question
