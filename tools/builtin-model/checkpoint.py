"""From a training state to a Hugging Face checkpoint.

    python checkpoint.py out/whole out/whole/checkpoint
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoTokenizer, Qwen2VLImageProcessor, Qwen3VLForConditionalGeneration

from architecture import create
from grids import MAX_PIXELS, MIN_PIXELS
from learner import Learner


def restore(run: Path) -> Qwen3VLForConditionalGeneration:
    """The model with the averaged weights of a run."""
    state = torch.load(run / "state.pt", map_location="cpu", weights_only=True)
    model = create(state["settings"]["preset"], AutoTokenizer.from_pretrained(run / "tokenizer"))
    learner = Learner(model)
    with torch.no_grad():
        for weight, mean in zip(learner.parameters(), state["average"]["values"], strict=True):
            weight.copy_(mean)
    return model.eval()


def processor() -> Qwen2VLImageProcessor:
    """The slow processor: PIL bicubic, as in training and in the library."""
    half = [0.5, 0.5, 0.5]
    limits = {"min_pixels": MIN_PIXELS, "max_pixels": MAX_PIXELS}
    return Qwen2VLImageProcessor(patch_size=16, image_mean=half, image_std=half, **limits)


def write(run: Path, folder: Path) -> None:
    model = restore(run)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(run / "tokenizer").save_pretrained(folder)
    processor().save_pretrained(folder)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "architectures": [type(model).__name__]}, indent=2))


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
