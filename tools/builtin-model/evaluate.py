"""Asks a checkpoint held-out questions through transformers, and prints the part of right answers by task.

    python evaluate.py out/whole/checkpoint --number 20 --show 2
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from conversation import ALL_TASKS, sample
from generate import Answerer
from grids import some_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--number", type=int, default=20, help="questions a task")
    parser.add_argument("--tasks", nargs="*", default=list(ALL_TASKS))
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--split", default="held_out")
    parser.add_argument("--level", type=float, default=1.0)
    parser.add_argument("--show", type=int, default=0, help="answers to print a task")
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    answerer, start, asked, ended = Answerer(arguments.checkpoint, device), time.monotonic(), 0, 0
    for task in arguments.tasks:
        rng, right = np.random.default_rng(arguments.seed), 0
        for index in range(arguments.number):
            talk = sample(arguments.seed, index, arguments.split, some_size(rng), level=arguments.level, task=task)
            last = len(talk.turns) - 1
            answer, ends = answerer.answer(talk.messages(until=last), talk.pictures)
            right, asked, ended = right + (answer == talk.turns[-1].answer), asked + 1, ended + ends
            if index < arguments.show:
                print(f"    {talk.turns[-1].question} -> {answer!r}, right: {talk.turns[-1].answer!r}")
        print(f"{task:>11} {right / arguments.number:6.1%}", flush=True)
    print(f"{asked} answers, {ended} ended by the model, {(time.monotonic() - start) / asked:.2f} s each on {device}")


if __name__ == "__main__":
    main()
