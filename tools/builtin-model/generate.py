"""Answers of the checkpoint through transformers alone: chat template, image processor, generate."""

from pathlib import Path

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoTokenizer

from checkpoint import processor


class Answerer:
    def __init__(self, checkpoint: Path, device: str = "cpu") -> None:
        self.model = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32).to(device).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        self.processor = processor()
        self.device = device

    def inputs(self, messages: list[dict], pictures: list[Image.Image]) -> dict[str, torch.Tensor]:
        prompt = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return self.expanded(prompt, pictures)

    def expanded(self, prompt: str, pictures: list[Image.Image]) -> dict[str, torch.Tensor]:
        """Token ids with every picture's token repeated, and the pictures' patches."""
        media: dict[str, torch.Tensor] = {}
        if pictures:
            found = self.processor(pictures, return_tensors="pt")
            media = {name: found[name].to(self.device) for name in ("pixel_values", "image_grid_thw")}
        counts = iter((media["image_grid_thw"].prod(-1) // 4).tolist() if pictures else [])
        pad, ids = self.model.config.image_token_id, []
        for token in self.tokenizer(prompt)["input_ids"]:
            ids += [pad] * next(counts) if token == pad else [token]
        row = torch.tensor([ids], device=self.device)
        return {"input_ids": row, "attention_mask": torch.ones_like(row), **media}

    @torch.no_grad()
    def answer(self, messages: list[dict], pictures: list[Image.Image | Path], limit: int = 256) -> tuple[str, bool]:
        """Greedy answer, and whether the model ended it."""
        inputs = self.inputs(messages, [_opened(picture) for picture in pictures])
        output = self.model.generate(**inputs, max_new_tokens=limit, do_sample=False)
        new = output[0, inputs["input_ids"].shape[1] :].tolist()
        ended = bool(new) and new[-1] in self.model.generation_config.eos_token_id
        return self.tokenizer.decode(new, skip_special_tokens=True), ended


def _opened(picture: Image.Image | Path) -> Image.Image:
    """A file as the package reads it: after what its format does to the pixels."""
    return Image.open(picture).convert("RGB") if isinstance(picture, Path) else picture
