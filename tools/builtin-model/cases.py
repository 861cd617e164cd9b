"""Writes held-out pictures and conversations as files, for the package: pictures, and cases.json.

    python cases.py out/cases --pictures 300 --checkpoint out/whole/checkpoint     # with the answers of transformers
    python cases.py out/cases --by-heart out/whole                                 # what a --repeat run has learned
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from batches import Source
from conversation import Conversation, examination
from generate import Answerer
from grids import some_size
from unrelated import unrelated

FAMILIES = ("one", "one", "one", "one", "two", "frames")  # in turn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=300, help="pictures, pairs and series of frames")
    parser.add_argument("--prompts", type=int, default=500, help="questions that have nothing to do with the pictures")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--jpeg", action="store_true", help="small files: JPEG instead of PNG")
    parser.add_argument("--checkpoint", type=Path, help="adds what transformers answers in float32")
    parser.add_argument("--by-heart", type=Path, help="a run whose repeated batches are written instead")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    subjects = _by_heart(arguments.by_heart) if arguments.by_heart else _held_out(arguments.seed, arguments.pictures)
    answerer = Answerer(arguments.checkpoint) if arguments.checkpoint else None
    cases = []
    for number, talks in enumerate(subjects):
        files = [f"{number:03}{'abcd'[index]}.{'jpg' if arguments.jpeg else 'png'}" for index in range(len(talks[0].pictures))]
        for file, picture in zip(files, talks[0].pictures, strict=True):
            picture.save(arguments.folder / file, quality=92)
        for talk in talks:
            cases.append(_case(talk, files, arguments.folder, answerer))
        print(f"\r{number + 1} of {len(subjects)}", end="", flush=True)
    prompts = [unrelated(np.random.default_rng([9, arguments.seed, index]), True)[0] for index in range(arguments.prompts)]
    written = {"cases": cases, "prompts": prompts}
    (arguments.folder / "cases.json").write_text(json.dumps(written, ensure_ascii=False, indent=0), encoding="utf-8")
    print(f"\r{len(cases)} cases in {arguments.folder}")


def _case(talk: Conversation, files: list[str], folder: Path, answerer: Answerer | None) -> dict:
    messages, last = talk.messages(until=len(talk.turns) - 1), talk.turns[-1]
    case = {"task": last.task, "language": talk.language, "pictures": files, "messages": messages, "answer": last.answer}
    if answerer:
        case["transformers"], _ = answerer.answer(messages, [folder / file for file in files])
    return case


def _held_out(seed: int, number: int) -> list[list[Conversation]]:
    rng = np.random.default_rng(seed)
    return [examination(seed, index, some_size(rng), FAMILIES[index % len(FAMILIES)]) for index in range(number)]


def _by_heart(run: Path) -> list[list[Conversation]]:
    settings = torch.load(run / "state.pt", map_location="cpu", weights_only=True)["settings"]
    source = Source(run / "tokenizer", settings["seed"], settings["batch"], settings["warm"], range(1))
    numbers = [number for number in range(max(1, settings["repeat"])) if source.kind(number) == "talk"]
    return [talks[:1] for number in numbers for talks in source.lessons(number)]


if __name__ == "__main__":
    main()
