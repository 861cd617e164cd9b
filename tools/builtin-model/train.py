"""Trains the built-in model from nothing. See README.md.

    python train.py --preset base --steps 20000 --out out/base          # on a GPU
    python train.py --out out/base --resume                             # go on where it stopped
"""

import argparse
import copy
import json
import math
import os
import time
from pathlib import Path

import torch
from transformers import AutoTokenizer

import vocabulary
from architecture import PRESETS, create
from batches import Source, stream
from layout import Layout
from learner import Learner
from scores import prepare, score

SETTINGS = ("preset", "batch", "parts", "rate", "seed", "warm", "look", "look_batch", "repeat")  # fixed for a whole run


def main() -> None:
    arguments = parse()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    state = torch.load(out / "state.pt", map_location="cpu", weights_only=True) if arguments.resume else None
    if state:
        vars(arguments).update(state["settings"])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_flush_denormal(True)  # before the first thread starts: tiny numbers are slow
    torch.set_num_threads(arguments.threads)
    torch.set_float32_matmul_precision("high")
    torch.manual_seed(arguments.seed)

    tokens = out / "tokenizer"
    if not tokens.exists():
        vocabulary.make().save_pretrained(tokens)
    tokenizer = AutoTokenizer.from_pretrained(tokens)
    model = Learner(create(arguments.preset, tokenizer)).to(device).train()
    if arguments.start_from:
        model.student.load_state_dict(type(model.student).from_pretrained(arguments.start_from).state_dict())
    fast = model if arguments.f32 else copy.deepcopy(model).to(torch.bfloat16)  # computes; `model` keeps exact weights
    optimizer = torch.optim.AdamW(groups(model), lr=arguments.rate, betas=(0.9, 0.98), fused=True)
    averaged = Average(model)
    step = 0
    if state:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        averaged.load(state["average"])
        step = state["step"]
        copy_weights(model, fast)
    count = sum(p.numel() for p in model.parameters())
    seen = sum(p.numel() for p in model.student.model.visual.parameters())
    print(f"{device}, {count:,} parameters ({seen:,} vision), from step {step} of {arguments.steps}", flush=True)

    parts = arguments.parts
    numbers = range(step * parts, arguments.steps * parts)
    source = Source(
        tokens,
        arguments.seed,
        arguments.batch,
        arguments.warm * parts,
        numbers,
        arguments.look * parts,
        arguments.look_batch,
        arguments.repeat,
    )
    batches = stream(source, arguments.workers)
    tests = prepare(Layout(tokenizer.backend_tokenizer), arguments.test)
    start, first_step, samples, pending = time.monotonic(), step, 0, []
    while step < arguments.steps:
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, arguments)
        told = torch.zeros(2, device=device)
        for _ in range(parts):
            batch = next(batches).to(device)
            loss, parts_of_it = fast.losses(batch, answers=step >= arguments.look)
            (loss / parts).backward()
            told += parts_of_it / parts
            samples += len(batch.tasks)
        if fast is not model:
            for exact, used in zip(model.parameters(), fast.parameters(), strict=True):
                exact.grad = None if used.grad is None else used.grad.float()
                used.grad = None
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        averaged.update(model)
        copy_weights(model, fast)
        step += 1
        pending.append(told)

        spent = time.monotonic() - start
        ends = step == arguments.steps or spent > 60 * arguments.minutes
        if step % arguments.log == 0 or ends:
            answers, places = torch.stack(pending).mean(0).tolist()
            pending = []
            write(out, {"step": step, "answers": round(answers, 4), "places": round(places, 4), "seconds": round(spent, 1), "samples_per_s": round(samples / spent, 1)})
        if step % arguments.every == 0 or ends:
            save(out, model, optimizer, averaged, step, arguments)
            if step <= arguments.look:
                continue
            copy_weights(averaged, fast)
            accuracy = score(fast.student, tests, tokenizer.backend_tokenizer, device)
            copy_weights(model, fast)
            write(out, {"step": step, "held_out": {task: round(value, 3) for task, value in accuracy.items()}})
        if ends:
            break
    print(f"{step - first_step} steps in {time.monotonic() - start:.0f} s; checkpoint in {out}", flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out, with its settings")
    parser.add_argument("--start-from", type=Path, help="a checkpoint folder whose weights begin a new run")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop, resumable, after this time")
    parser.add_argument("--preset", choices=list(PRESETS), default="base")
    parser.add_argument("--steps", type=int, default=20_000, help="length of the whole schedule")
    parser.add_argument("--batch", type=int, default=96, help="single-picture conversations in a part")
    parser.add_argument("--parts", type=int, default=4, help="batches, each of another picture size, in a step")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="highest learning rate")
    parser.add_argument("--warm", type=int, default=1500, help="steps until pictures are as hard as they get")
    parser.add_argument("--look", type=int, default=0, help="steps in the beginning that train the vision tower alone")
    parser.add_argument("--look-batch", type=int, default=24, help="pictures in a part of those steps")
    parser.add_argument("--repeat", type=int, default=0, help="learn only so many batches by heart, to see that it can")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=1000, help="steps between checkpoints with a test")
    parser.add_argument("--log", type=int, default=50)
    parser.add_argument("--test", type=int, default=64, help="held-out questions a task")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="processes that draw")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 2, help="of PyTorch")
    parser.add_argument("--f32", action="store_true", help="no bf16")
    return parser.parse_args()


def groups(model: torch.nn.Module) -> list[dict]:
    """Weight decay for matrices only."""
    decays = [p for n, p in model.named_parameters() if p.ndim >= 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim < 2 or "embed" in n]
    return [{"params": decays, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]


def rate_at(step: int, arguments: argparse.Namespace) -> float:
    """A short rise, a plateau, and a cosine over the last 40 % down to 2 %."""
    rise = min(1.0, (step + 1) / min(100, max(1, arguments.steps // 20)))
    late = max(0.0, (step / arguments.steps - 0.6) / 0.4)
    return arguments.rate * rise * (0.02 + 0.98 * (1 + math.cos(math.pi * late)) / 2)


class Average:
    """An exponential mean of the weights: what is tested and exported."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.values = [p.detach().clone() for p in model.parameters()]
        self.updates = 0

    @torch.no_grad()
    def update(self, model: torch.nn.Module) -> None:
        self.updates += 1
        keep = min(0.998, self.updates / (self.updates + 10))
        torch._foreach_lerp_(self.values, list(model.parameters()), 1 - keep)

    def state(self) -> dict:
        return {"values": self.values, "updates": self.updates}

    def load(self, state: dict) -> None:
        self.updates = state["updates"]
        for mine, theirs in zip(self.values, state["values"], strict=True):
            mine.copy_(theirs)

    def parameters(self) -> list[torch.Tensor]:
        return self.values


@torch.no_grad()
def copy_weights(source: "torch.nn.Module | Average", target: torch.nn.Module) -> None:
    for mine, theirs in zip(target.parameters(), source.parameters(), strict=True):
        if mine is not theirs:
            mine.copy_(theirs)


def save(out: Path, model, optimizer, averaged: Average, step: int, arguments: argparse.Namespace) -> None:
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "average": averaged.state(),
        "step": step,
        "settings": {name: getattr(arguments, name) for name in SETTINGS},
    }
    torch.save(state, out / "state.new")
    (out / "state.new").replace(out / "state.pt")


def write(out: Path, entry: dict) -> None:
    line = json.dumps(entry)
    print(line, flush=True)
    with (out / "log.jsonl").open("a") as file:
        file.write(line + "\n")


if __name__ == "__main__":
    main()
