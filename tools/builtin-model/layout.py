"""Conversations as the model reads them: token ids, their three positions, and which of them are answers.

Conversations about the same pictures share one row: the pictures come once, and each conversation is a branch that
sees the pictures and itself alone, at the positions that it would have by itself.
"""

from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from conversation import Conversation
from grids import Grid

IGNORED = -1  # turn of a token that no answer holds
LONGEST = 256  # tokens of conversations in a row: further ones are left out, so that little is padded
SHARED = 0  # branch of what all conversations of a row see


@dataclass
class Row:
    ids: np.ndarray  # [tokens]
    positions: np.ndarray  # [3, tokens]: time, row, column, as get_rope_index counts them
    turns: np.ndarray  # [tokens]: which answer the token belongs to, or IGNORED
    branches: np.ndarray  # [tokens]: SHARED, or the number of the conversation from 1


class Layout:
    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.pad = tokenizer.token_to_id("<|endoftext|>")
        self.image = tokenizer.token_to_id("<|image_pad|>")

    def row(self, talks: list[Conversation], grid: Grid) -> Row:
        """The text of each conversation is what the chat template renders; check.py compares both."""
        ids: list[int] = []
        turns: list[int] = []
        branches: list[int] = []

        def add(text: str, branch: int, turn: int = IGNORED) -> None:
            for token in self._tokenizer.encode(text, add_special_tokens=False).ids:
                times = grid[0] * grid[1] if token == self.image else 1
                ids.extend([token] * times)
                turns.extend([turn] * times)
                branches.extend([branch] * times)

        first, number = talks[0], 0
        system = f"<|im_start|>system\n{first.system}<|im_end|>\n" if first.system else ""
        before = first.turns[0].question if first.question_first else ""
        pictures = "<|vision_start|><|image_pad|><|vision_end|>" * len(first.scenes)
        add(f"{system}<|im_start|>user\n{before}{pictures}", SHARED)
        shared = len(ids)
        for branch, talk in enumerate(talks, 1):
            whole = len(ids)
            for index, turn in enumerate(talk.turns):
                opening = "<|im_start|>user\n" if index else ""
                question = "" if index == 0 and before else turn.question
                add(f"{opening}{question}<|im_end|>\n<|im_start|>assistant\n", branch)
                add(f"{turn.answer}<|im_end|>", branch, number)
                add("\n", branch)
                number += 1
            if branch > 1 and len(ids) - shared > LONGEST:
                del ids[whole:], turns[whole:], branches[whole:]
                break
        return Row(np.array(ids), self._positions(ids, branches, grid), np.array(turns), np.array(branches))

    def names(self, texts: list[str], grid: Grid, starts: list[int]) -> tuple[Row, list[int]]:
        """A picture, and behind it every name in a branch of its own, `starts` positions later; and each name's last token."""
        opening = self._tokenizer.encode("<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>", add_special_tokens=False).ids
        ids = [token for id in opening for token in [id] * (grid[0] * grid[1] if id == self.image else 1)]
        branches, shift, lasts = [SHARED] * len(ids), [0] * len(ids), []
        for branch, (text, start) in enumerate(zip(texts, starts, strict=True), 1):
            tokens = self._tokenizer.encode(text, add_special_tokens=False).ids
            ids += tokens
            branches += [branch] * len(tokens)
            shift += [start] * len(tokens)
            lasts.append(len(ids) - 1)
        positions = self._positions(ids, branches, grid) + np.array(shift)
        return Row(np.array(ids), positions, np.full(len(ids), IGNORED), np.array(branches)), lasts

    def _positions(self, ids: list[int], branches: list[int], grid: Grid) -> np.ndarray:
        rows, columns = grid
        block = np.stack([np.zeros(rows * columns, int), np.arange(rows).repeat(columns), np.tile(np.arange(columns), rows)])
        parts, at, index, shared_end = [], 0, 0, 0
        while index < len(ids):
            if index and branches[index] != branches[index - 1]:
                shared_end = shared_end if branches[index - 1] else at
                at = shared_end
            if ids[index] == self.image:
                parts.append(at + block)
                at, index = at + max(rows, columns), index + rows * columns
            else:
                parts.append(np.full((3, 1), at))
                at, index = at + 1, index + 1
        return np.concatenate(parts, axis=1)
