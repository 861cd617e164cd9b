"""A fixed code for what a token shows: the sum of one random direction for each of its labels.

The vision tower learns to write this code, the language model to read it. So each can learn without the other, and at
the same time; together they then only have to settle. The code is no part of the model that is shipped.
"""

import math

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from palette import COLOURS, SHAPES
from targets import BOX, CHARACTERS, EDGES, KINDS, NAMED, NONE, PARTS, SLOTS

SEED = 7
PERIODS = (2.0, 1.0, 0.5, 0.25, 0.125)  # of the waves that tell an edge, as parts of a picture's side
WAVE = 0.5  # length of each wave's direction
# Most that a reader is made to live with, in some pictures, as a tower that still learns will have it:
ERRORS = 0.06  # part of wrong labels
BLUR = 0.015  # standard deviation of an edge
NOISE = 0.05  # standard deviation of each value


class Code(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(SEED)
        sizes = {name: count * classes for name, (count, classes) in PARTS.items()}
        last = sizes["order"]
        parts = [sum(sizes.values()) - last, EDGES * len(PERIODS) * 2, last]
        drawn = torch.cat([torch.randn(sum(parts[:2]), width, generator=random), torch.randn(last, width, generator=random)])
        first, waves, order = (drawn / drawn.norm(dim=1, keepdim=True)).split(parts)
        classes = torch.cat([first, order])
        starts, counts, start = [], [], 0
        for count, each in PARTS.values():
            starts += [start + index * each for index in range(count)]
            counts += [each] * count
            start += count * each
        names = [name for name, (count, _) in PARTS.items() for _ in range(count)]
        self.register_buffer("classes", classes, persistent=False)  # [CLASSES, width]
        self.register_buffer("waves", WAVE * waves, persistent=False)
        self.register_buffer("starts", torch.tensor(starts), persistent=False)
        self.register_buffer("counts", torch.tensor(counts), persistent=False)
        self.register_buffer("coded", torch.tensor([name != "hundreds" for name in names]), persistent=False)  # waves tell edges
        self.register_buffer("letters", torch.tensor([name == "letters" for name in names]), persistent=False)

    def of(self, labels: Tensor, blur: Tensor | float = 0.0) -> Tensor:
        """Labels [..., LABELS] -> [..., width]; a label that is NONE adds nothing. An edge that is known less well has
        weaker waves: the mean of what it could be."""
        named, edges = labels[..., :NAMED], labels[..., BOX]
        there = ((named != NONE) & self.coded & ~(self.letters & (named == 0)))[..., None]  # most slots hold no letter
        code = (self.classes[self.starts + named.clamp(min=0).long()] * there).sum(-2)
        periods = torch.tensor(PERIODS, device=labels.device)
        angles = 2 * math.pi * edges[..., None] / 1000 / periods
        weak = torch.exp(-2 * (math.pi * blur / periods) ** 2) * (edges != NONE)[..., None]
        waves = torch.stack((angles.cos() * weak, angles.sin() * weak), dim=-1).flatten(-3)
        return code + waves.to(code.dtype) @ self.waves

    @torch.no_grad()
    def name(self, embeddings: Tensor, tokenizer: PreTrainedTokenizerBase) -> None:
        """Begins with words that have the code of what they name: [rows, width] of a vocabulary."""
        starts = dict(zip(PARTS, self.starts[[0, 1, 2, 3, 3 + EDGES, 3 + EDGES + SLOTS]].tolist(), strict=True))
        for token in range(len(tokenizer)):
            word = tokenizer.decode([token]).strip().lower()
            for index, shape in enumerate(SHAPES):
                if word in (shape.en, shape.plural) or shape.zh[:2] in word:
                    embeddings[token] += self.classes[starts["kind"] + 1 + index]
            for index, colour in enumerate(COLOURS):
                if word == colour.en or (colour.zh[0] in word and len(word) <= 2):
                    embeddings[token] += self.classes[starts["colour"] + index]
            if len(word) == 1 and word.upper() in CHARACTERS:
                place = starts["letters"] + 1 + CHARACTERS.index(word.upper())
                embeddings[token] += self.classes[place :: 1 + len(CHARACTERS)][: PARTS["letters"][0]].sum(0) / 2
            if word in ("word", "text"):
                embeddings[token] += self.classes[starts["kind"] + KINDS - 1]

    def careless(self, labels: Tensor) -> Tensor:
        """The code of pictures [pictures, tokens, LABELS] with errors, in some many, in others none."""
        device, pictures = labels.device, (len(labels), 1, 1)
        named, edges = labels[..., :NAMED], labels[..., BOX]
        wrong = (torch.rand(named.shape, device=device) < torch.rand(pictures, device=device) * ERRORS) & (named != NONE)
        wrong &= ~self.letters | (named > 0) | (torch.rand(named.shape, device=device) < 0.1)  # few letters where none are
        named = torch.where(wrong, (torch.rand(named.shape, device=device) * self.counts).long(), named)
        blur = torch.rand(pictures, device=device) * BLUR
        moved = edges + 1000 * blur * torch.randn(edges.shape, device=device)
        code = self.of(torch.cat((named, torch.where(edges == NONE, NONE, moved)), dim=-1), blur[..., None])
        return code + torch.randn_like(code) * NOISE * torch.rand(pictures, device=device).to(code.dtype)
