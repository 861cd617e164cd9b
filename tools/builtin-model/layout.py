"""A conversation as the model reads it: token ids, their three positions, and how much each counts in the loss."""

from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from conversation import Conversation
from grids import Grid

IGNORED = -1  # turn of a token that no answer holds


@dataclass
class Row:
    ids: np.ndarray  # [tokens]
    positions: np.ndarray  # [3, tokens]: time, row, column, as get_rope_index counts them
    turns: np.ndarray  # [tokens]: which answer the token belongs to, or IGNORED


class Layout:
    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.pad = tokenizer.token_to_id("<|endoftext|>")
        self.image = tokenizer.token_to_id("<|image_pad|>")

    def row(self, talk: Conversation, grid: Grid) -> Row:
        """The text is what the chat template renders; check.py compares both."""
        ids: list[int] = []
        turns: list[int] = []

        def add(text: str, turn: int = IGNORED) -> None:
            found = self._tokenizer.encode(text, add_special_tokens=False).ids
            for token in found:
                times = grid[0] * grid[1] if token == self.image else 1
                ids.extend([token] * times)
                turns.extend([turn] * times)

        pictures = "<|vision_start|><|image_pad|><|vision_end|>" * len(talk.scenes)
        if talk.system:
            add(f"<|im_start|>system\n{talk.system}<|im_end|>\n")
        for index, turn in enumerate(talk.turns):
            shown = pictures if index == 0 else ""
            first, second = (turn.question, shown) if talk.question_first else (shown, turn.question)
            add(f"<|im_start|>user\n{first}{second}<|im_end|>\n<|im_start|>assistant\n")
            add(f"{turn.answer}<|im_end|>", index)
            add("\n")
        return Row(np.array(ids), self._positions(ids, grid), np.array(turns))

    def _positions(self, ids: list[int], grid: Grid) -> np.ndarray:
        rows, columns = grid
        block = np.stack([np.zeros(rows * columns, int), np.arange(rows).repeat(columns), np.tile(np.arange(columns), rows)])
        parts, at, index = [], 0, 0
        while index < len(ids):
            if ids[index] == self.image:
                parts.append(at + block)
                at, index = at + max(rows, columns), index + rows * columns
            else:
                parts.append(np.full((3, 1), at))
                at, index = at + 1, index + 1
        return np.concatenate(parts, axis=1)
