"""Shows that training reads what the reference reads: same prompt, same positions, same logits.

    python check.py out/whole/checkpoint
"""

import sys
from pathlib import Path

import numpy as np
import torch

from architecture import hidden_states, look
from batches import collate
from conversation import FAMILIES, sample
from generate import Answerer
from grids import some_group
from layout import Layout


@torch.no_grad()
def main() -> None:
    answerer = Answerer(Path(sys.argv[1]))
    layout = Layout(answerer.tokenizer.backend_tokenizer)
    rng, worst = np.random.default_rng(3), 0.0
    for index in range(24):
        grid, sizes = some_group(rng)
        size = sizes[rng.integers(len(sizes))]
        talk = sample(4, index, "train", size, family=list(FAMILIES)[index % 3])
        batch = collate(layout, [[talk]], grid)
        prompt = answerer.tokenizer.apply_chat_template(talk.messages(), tokenize=False)
        inputs = answerer.expanded(prompt, talk.pictures)
        assert batch.ids.tolist() == inputs["input_ids"].tolist(), f"{index}: other tokens than the chat template's"
        positions, _ = answerer.model.model.get_rope_index(batch.ids, inputs.get("image_grid_thw"))
        assert batch.positions.tolist() == positions.tolist(), f"{index}: other positions"
        seen = look(answerer.model.model.visual, batch.pixels) if len(batch.pixels) else None
        ours = answerer.model.lm_head(hidden_states(answerer.model, batch, seen))
        theirs = answerer.model(**inputs).logits
        worst = max(worst, float((ours - theirs).abs().max() / theirs.abs().max()))
    assert worst < 1e-3, f"logits differ by {worst:.1e} of the largest"
    print(f"24 conversations: tokens and positions equal, logits within {worst:.1e} of the largest")


if __name__ == "__main__":
    main()
