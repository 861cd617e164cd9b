"""Trains the built-in model from nothing. See README.md.

    python train.py --stage eyes --out out/eyes                         # these two at the same time
    python train.py --stage reader --out out/reader
    python train.py --start-from out/eyes out/reader --out out/whole    # then all together
    python train.py --out out/whole --resume                            # go on where it stopped
"""

import argparse
import copy
import json
import math
import os
import time
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer

import vocabulary
from architecture import PRESETS, create
from batches import BATCHES, Source, stream
from layout import Layout
from learner import STAGES, Learner
from scores import dense, prepare, score

SETTINGS = ("preset", "batch", "rate", "seed", "warm", "stage", "drills", "repeat")  # fixed for a whole run


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
    model = Learner(create(arguments.preset, tokenizer), arguments.stage)
    model.code.name(model.student.model.language_model.embed_tokens.weight, tokenizer)
    if arguments.start_from:
        begin_with(model, arguments.start_from)
    model = model.to(device).train()
    fast = model if arguments.f32 else copy.deepcopy(model).to(torch.bfloat16)  # computes; `model` keeps exact weights
    optimizer = Optimizers(model, arguments.rate)
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

    parts = len(BATCHES[arguments.stage])
    numbers = range(step * parts, arguments.steps * parts)
    source = Source(
        tokens,
        arguments.seed,
        arguments.batch,
        arguments.warm * parts,
        numbers,
        arguments.stage,
        arguments.drills * parts if arguments.stage == "reader" else 0,
        arguments.repeat,
    )
    batches = stream(source, arguments.workers)
    tests = prepare(Layout(tokenizer.backend_tokenizer), arguments.test)
    start, first_step, samples, pending = time.monotonic(), step, 0, []
    while step < arguments.steps:
        told = torch.zeros(3, device=device)
        for _ in range(parts):
            batch = next(batches).to(device)
            loss, parts_of_it = fast.losses(batch)
            (loss / parts).backward()
            told += parts_of_it / parts
            samples += len(batch.tasks)
        if fast is not model:
            for exact, used in zip(model.parameters(), fast.parameters(), strict=True):
                exact.grad = None if used.grad is None else used.grad.float()
                used.grad = None
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step(rate_at(step, arguments))
        averaged.update(model)
        copy_weights(model, fast)
        step += 1
        pending.append(told)

        spent = time.monotonic() - start
        ends = step == arguments.steps or spent > 60 * arguments.minutes
        if step % arguments.log == 0 or ends:
            answers, places, distance = torch.stack(pending).mean(0).tolist()
            pending = []
            write(out, {"step": step, "answers": round(answers, 4), "places": round(places, 4), "distance": round(distance, 4), "seconds": round(spent, 1), "samples_per_s": round(samples / spent, 1)})
        if step % arguments.every == 0 or ends:
            save(out, model, optimizer, averaged, step, arguments)
            copy_weights(averaged, fast)
            accuracy = dense(fast, tests, device) if arguments.stage == "eyes" else score(fast, tests, tokenizer.backend_tokenizer, device)
            copy_weights(model, fast)
            write(out, {"step": step, "held_out": {task: round(value, 3) for task, value in accuracy.items()}})
        if ends:
            break
    print(f"{step - first_step} steps in {time.monotonic() - start:.0f} s; checkpoint in {out}", flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out, with its settings")
    parser.add_argument("--stage", choices=STAGES, default="both", help="the vision tower alone, the language model on codes, or all")
    parser.add_argument("--start-from", type=Path, nargs="+", help="runs whose averaged weights begin this one, of each what its stage trains; or files of weights")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop, resumable, after this time")
    parser.add_argument("--preset", choices=list(PRESETS), default="small")
    parser.add_argument("--steps", type=int, default=12_000, help="length of the whole schedule")
    parser.add_argument("--batch", type=int, default=8, help="rows of questions about a picture in a step")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="highest learning rate")
    parser.add_argument("--warm", type=int, default=1500, help="steps until pictures are as hard as they get")
    parser.add_argument("--drills", type=int, default=2000, help="steps in the beginning of a reader's training with simple questions alone")
    parser.add_argument("--repeat", type=int, default=0, help="learn only so many batches by heart, to see that it can")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=1000, help="steps between checkpoints with a test")
    parser.add_argument("--log", type=int, default=50)
    parser.add_argument("--test", type=int, default=64, help="held-out questions a task")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="processes that draw")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 2, help="of PyTorch")
    parser.add_argument("--f32", action="store_true", help="no bf16")
    return parser.parse_args()


def begin_with(model: Learner, runs: list[Path]) -> None:
    names = [name for name, _ in model.named_parameters()]
    for run in runs:
        if run.suffix == ".safetensors":
            model.load_state_dict(load_file(run), strict=False)
            continue
        state = torch.load(run / "state.pt", map_location="cpu", weights_only=True)
        values = dict(zip(names, state["average"]["values"], strict=True))
        stage = state["settings"]["stage"]
        sees = {name: "model.visual" in name or name.startswith(("places", "printed")) for name in names}
        chosen = {name: value for name, value in values.items() if stage == "both" or sees[name] == (stage == "eyes")}
        model.load_state_dict(chosen, strict=False)


class Optimizers:
    """Muon for the matrices of the layers, AdamW for all other weights; the same rate suits both."""

    def __init__(self, model: torch.nn.Module, rate: float) -> None:
        inner = {n: p for n, p in model.named_parameters() if p.ndim == 2 and (".layers." in n or ".blocks." in n)}
        others = [p for n, p in model.named_parameters() if n not in inner]
        self._all = (
            torch.optim.Muon(inner.values(), lr=rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
        )

    def step(self, rate: float) -> None:
        for each in self._all:
            for group in each.param_groups:
                group["lr"] = rate
            each.step()
            each.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict]:
        return [each.state_dict() for each in self._all]

    def load_state_dict(self, states: list[dict]) -> None:
        for each, state in zip(self._all, states, strict=True):
            each.load_state_dict(state)


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
