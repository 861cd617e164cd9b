"""Writes held-out pictures and conversations as files, for tests of the package: pictures as PNG, and cases.json.

    python cases.py out/cases --number 60 --checkpoint out/base/checkpoint     # with the answers of transformers
    python cases.py out/cases --by-heart out/base                              # what a --repeat run has learned
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from batches import Source
from conversation import ALL_TASKS, Conversation, sample
from generate import Answerer
from grids import MAX_PIXELS, some_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--number", type=int, default=60, help="cases a task")
    parser.add_argument("--tasks", nargs="*", default=list(ALL_TASKS))
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--checkpoint", type=Path, help="adds what transformers answers in float32")
    parser.add_argument("--by-heart", type=Path, help="a run whose repeated batches are written instead")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.by_heart:
        talks = _by_heart(arguments.by_heart)
    else:
        talks = [talk for task in arguments.tasks for talk in _held_out(task, arguments.seed, arguments.number)]
    answerer = Answerer(arguments.checkpoint) if arguments.checkpoint else None
    cases = []
    for number, talk in enumerate(talks):
        files = [f"{number:05}-{index}.png" for index in range(len(talk.pictures))]
        for file, picture in zip(files, talk.pictures, strict=True):
            picture.save(arguments.folder / file)
        last = len(talk.turns) - 1
        messages = talk.messages(until=last)
        case = {"task": talk.turns[-1].task, "language": talk.language, "pictures": files, "messages": messages, "answer": talk.turns[-1].answer}
        if answerer:
            case["transformers"], case["ended"] = answerer.answer(messages, talk.pictures)
        cases.append(case)
    written = {"maxPixels": MAX_PIXELS, "cases": cases}
    (arguments.folder / "cases.json").write_text(json.dumps(written, ensure_ascii=False, indent=1), encoding="utf-8")
    print(f"{len(cases)} cases in {arguments.folder}")


def _held_out(task: str, seed: int, number: int) -> list[Conversation]:
    rng = np.random.default_rng([seed, ALL_TASKS.index(task)])
    first = ALL_TASKS.index(task) * 100_000  # every task has its own pictures
    return [sample(seed, first + index, "held_out", some_size(rng), task=task) for index in range(number)]


def _by_heart(run: Path) -> list[Conversation]:
    settings = torch.load(run / "state.pt", map_location="cpu", weights_only=True)["settings"]
    source = Source(run / "tokenizer", settings["seed"], settings["batch"], settings["warm"], range(1))
    return [talk for number in range(max(1, settings["repeat"])) for talk in source.talks(number)[0]]


if __name__ == "__main__":
    main()
