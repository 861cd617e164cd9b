"""The model with what only training needs: the code of its image tokens, a linear layer that names what each token shows,
and the losses."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import Qwen3VLForConditionalGeneration

from architecture import Seen, answer_logits, hidden_states, look
from batches import BATCHES, Batch
from codes import Code
from names import MOST
from targets import CHARACTERS, CLASSES, NONE, PARTS, PRINTED

STAGES = tuple(BATCHES)  # the vision tower alone, the language model on codes alone, all
PLACES = {"eyes": 1.0, "both": 0.5}  # weight of the dense lesson beside the answers
CODE = {"eyes": 0.5, "both": 0.05}  # and of the distance to the code
WEIGHTS = {"kind": 1.0, "colour": 1.0, "centre": 2.0, "hundreds": 1.0, "letters": 8.0, "order": 2.0, "printed": 8.0}  # most slots are empty
FINDING = 3  # layers of the language model that find what a name names
SHARPNESS = 8.0  # of the layer that names, to begin with


class Learner(nn.Module):
    def __init__(self, student: Qwen3VLForConditionalGeneration, stage: str = "both") -> None:
        super().__init__()
        self.student = student
        self.stage = stage
        self.code = Code(student.config.text_config.hidden_size)
        self.places = nn.Linear(student.config.text_config.hidden_size, CLASSES)
        self.printed = nn.Linear(student.config.vision_config.hidden_size, 1 + len(CHARACTERS))
        self.counts = nn.Linear(student.config.text_config.hidden_size, 1 + MOST)
        with torch.no_grad():
            self.places.weight.copy_(SHARPNESS * self.code.classes)
            self.places.bias.zero_()

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What to minimise, and its parts (answers, places, distance to the code) to report."""
        nothing = torch.zeros((), device=batch.ids.device)
        told, places, distance = nothing, nothing, nothing
        seen = self.see(batch, careless=True)
        if len(batch.pixels) and self.stage != "reader":
            labels = batch.targets.flatten(0, 1)
            places = self._places(self.named(seen, labels))
            distance = (seen.main.float() - self.code.of(labels).float()).square().sum(-1).mean()
        if len(batch.named):
            told = self._names(batch, seen)
        elif (batch.turns >= 0).any():
            told = self._answers(batch, seen)
        weight = "eyes" if told is nothing else self.stage
        total = told + PLACES.get(weight, 0) * places + CODE.get(weight, 0) * distance
        return total, torch.stack([told.detach().float(), places.detach().float(), distance.detach().float()])

    def see(self, batch: Batch, careless: bool = False) -> Seen | None:
        """What the language model gets to see: of scenes that are not drawn, and as a reader always, the code; `careless` with errors."""
        if not len(batch.targets):
            return None
        if self.stage != "reader" and len(batch.pixels):
            return look(self.student.model.visual, batch.pixels)
        code = self.code.careless(batch.targets) if careless else self.code.of(batch.targets)
        return Seen(code.flatten(0, 1), [])

    def _answers(self, batch: Batch, seen: Seen | None) -> Tensor:
        """Mean over the answers' tokens; a token of a long answer counts less, but a long answer as a whole more."""
        logits, wanted = answer_logits(self.student, batch, seen)
        turns = batch.turns[:, 1:]
        rows, _ = torch.nonzero(turns >= 0, as_tuple=True)
        which = turns[turns >= 0] + rows * (1 + int(turns.max()))
        weight = torch.bincount(which)[which].float() ** -0.5
        each = F.cross_entropy(logits.float(), wanted, reduction="none")
        return (each * weight).sum() / weight.sum()

    def _names(self, batch: Batch, seen: Seen | None) -> Tensor:
        """The tokens that end a name shall hold the code of what it names, and how often that is there."""
        rows, columns = batch.named.unbind(1)
        found = hidden_states(self.student, batch, seen, FINDING)[rows, columns]
        one = batch.counts == 1
        distance = (found[one].float() - self.code.of(batch.meant[one]).float()).square().sum(-1).mean()
        return F.cross_entropy(self.counts(found).float(), batch.counts) + self._places(self.named(Seen(found[one], []), batch.meant[one])) + distance

    def _places(self, named: list[tuple[str, Tensor, Tensor]]) -> Tensor:
        total = torch.zeros((), device=self.places.weight.device)
        for name, scores, wanted in named:
            if (wanted != NONE).any():
                total = total + WEIGHTS[name] * F.cross_entropy(scores, wanted, ignore_index=NONE)
        return total

    def named(self, seen: Seen, labels: Tensor) -> list[tuple[str, Tensor, Tensor]]:
        """Every part of the lesson with the scores of its classes [N, classes] and the right ones [N]."""
        scores, found, label, start = self.places(seen.main).float(), [], 0, 0
        for name, (count, classes) in PARTS.items():
            part = scores[:, start : start + count * classes].reshape(-1, classes)
            found.append((name, part, labels[:, label : label + count].reshape(-1)))
            start, label = start + count * classes, label + count
        if seen.patches is not None:
            patches = F.layer_norm(seen.patches, seen.patches.shape[-1:])
            found.append(("printed", self.printed(patches).float(), labels[:, PRINTED].reshape(-1)))
        return found
