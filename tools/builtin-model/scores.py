"""Held-out accuracy of every task. Each answer token is predicted from the right tokens before it, so an answer
counts as right exactly if greedy generation would give it."""

import re

import torch
from tokenizers import Tokenizer
from architecture import answer_logits
from batches import Batch, held_out
from conversation import ALL_TASKS
from layout import Layout
from learner import Learner
from targets import NONE

BOXES = ("find", "and_find")


def prepare(layout: Layout, number: int, tasks: tuple[str, ...] = ALL_TASKS) -> dict[str, list[Batch]]:
    return {task: held_out(layout, task, number) for task in tasks}


@torch.no_grad()
def score(learner: Learner, tests: dict[str, list[Batch]], tokenizer: Tokenizer, device: str) -> dict[str, float]:
    """Part of exact answers by task, and the mean IoU of single boxes under `<task>_iou`."""
    learner.eval()
    result = {}
    for task, batches in tests.items():
        right, overlaps = [], []
        for batch in batches:
            batch = batch.to(device)
            logits, _ = answer_logits(learner.student, batch, learner.see(batch))
            guesses = logits.argmax(-1).cpu()
            for guess, wanted in zip(*_last_answers(batch, guesses), strict=True):
                right.append(guess == wanted)
                if task in BOXES and "bbox" in tokenizer.decode(wanted):
                    overlaps.append(_iou(tokenizer.decode(guess), tokenizer.decode(wanted)))
        result[task] = sum(right) / len(right)
        if overlaps:
            result[f"{task}_iou"] = sum(overlaps) / len(overlaps)
    learner.train()
    return result


@torch.no_grad()
def dense(learner: Learner, tests: dict[str, list[Batch]], device: str) -> dict[str, float]:
    """Part of right labels of the dense lesson, by its parts, where something is to be named."""
    right: dict[str, list[float]] = {}
    for batch in (batch.to(device) for task in ("count", "read") for batch in tests[task]):
        for name, scores, wanted in learner.named(learner.see(batch), batch.targets.flatten(0, 1)):
            told = wanted > 0 if name in ("kind", "letters", "printed", "centre") else wanted != NONE
            right.setdefault(name, []).append((scores.argmax(-1)[told] == wanted[told]).float().mean().item())
    return {name: sum(values) / len(values) for name, values in right.items()}


def _last_answers(batch: Batch, guesses: torch.Tensor) -> tuple[list[list[int]], list[list[int]]]:
    turns, ids = batch.turns[:, 1:].cpu(), batch.ids[:, 1:].cpu()
    spread = torch.full_like(ids, -1)
    spread[turns >= 0] = guesses
    last = turns.max(dim=1, keepdim=True).values
    found = [(spread[row][turns[row] == last[row]], ids[row][turns[row] == last[row]]) for row in range(len(ids))]
    return [guess.tolist() for guess, _ in found], [wanted.tolist() for _, wanted in found]


def _iou(guess: str, wanted: str) -> float:
    boxes = [[int(n) for n in re.findall(r"\d+", text.partition("[\n")[2].partition("[")[2].partition("]")[0])] for text in (guess, wanted)]
    if len(boxes[0]) != 4:
        return 0.0
    (ax, ay, ar, ab), (bx, by, br, bb) = boxes
    shared = max(0, min(ar, br) - max(ax, bx)) * max(0, min(ab, bb) - max(ay, by))
    return shared / max(1, (ar - ax) * (ab - ay) + (br - bx) * (bb - by) - shared)
