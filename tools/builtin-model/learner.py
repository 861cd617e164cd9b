"""The model with what only training needs: a linear layer that names what each image token shows, and the losses."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import Qwen3VLForConditionalGeneration

from architecture import answer_logits, look
from batches import Batch
from targets import CLASSES, NONE, PARTS

PLACES = 0.5  # weight of the dense lesson beside the answers
WEIGHTS = {"kind": 1.0, "colour": 1.0, "centre": 2.0, "hundreds": 1.0, "tens": 0.3, "letters": 8.0}  # most slots are empty


class Learner(nn.Module):
    def __init__(self, student: Qwen3VLForConditionalGeneration) -> None:
        super().__init__()
        self.student = student
        self.places = nn.Linear(student.config.text_config.hidden_size, CLASSES)

    def losses(self, batch: Batch, answers: bool) -> tuple[Tensor, Tensor]:
        """What to minimise, and its two parts (answers, places) to report."""
        seen = look(self.student.model.visual, batch.pixels) if len(batch.pixels) else None
        nothing = torch.zeros((), device=batch.ids.device)
        places = self._places(seen[0], batch.targets.flatten(0, 1)) if seen else nothing
        told = self._answers(batch, seen) if answers else nothing
        return told + PLACES * places, torch.stack([told.detach(), places.detach()])

    def _answers(self, batch: Batch, seen: tuple[Tensor, list[Tensor]] | None) -> Tensor:
        """Mean over the answers' tokens; a token of a long answer counts less, but a long answer as a whole more."""
        logits, wanted = answer_logits(self.student, batch, seen)
        turns = batch.turns[:, 1:]
        rows, _ = torch.nonzero(turns >= 0, as_tuple=True)
        which = turns[turns >= 0] + rows * (1 + int(turns.max()))
        weight = torch.bincount(which)[which].float() ** -0.5
        each = F.cross_entropy(logits.float(), wanted, reduction="none")
        return (each * weight).sum() / weight.sum()

    def _places(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        scores = self.places(embeddings).float()
        total, label, start = scores.new_zeros(()), 0, 0
        for name, (count, classes) in PARTS.items():
            part = scores[:, start : start + count * classes].reshape(-1, classes)
            wanted = labels[:, label : label + count].reshape(-1)
            if (wanted != NONE).any():
                total = total + WEIGHTS[name] * F.cross_entropy(part, wanted, ignore_index=NONE)
            start, label = start + count * classes, label + count
        return total
