"""Draws a sheet of samples with their conversations, to look at: python preview.py out/preview"""

import argparse
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from conversation import ALL_TASKS, FAMILIES, sample
from grids import groups, some_size

CELL = (330, 330)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--level", type=float, default=1.0)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(arguments.seed)
    lines, sheets = [], []
    families = ["one"] * 10 + ["two", "frames"]
    for index, family in enumerate(families):
        talk = sample(arguments.seed, index, "train", some_size(rng), level=arguments.level, family=family)
        lines.append(f"--- {index} ({family}) {[p.size for p in talk.pictures]}")
        lines += [f"{turn.task:>11} | {turn.question} -> {turn.answer!r}" for turn in talk.turns]
        sheets += [(index, picture) for picture in talk.pictures]
    columns = 4
    sheet = Image.new("RGB", (columns * CELL[0], -(-len(sheets) // columns) * CELL[1]), "gray")
    for place, (index, picture) in enumerate(sheets):
        picture.thumbnail((CELL[0] - 8, CELL[1] - 20))
        at = (place % columns * CELL[0], place // columns * CELL[1])
        sheet.paste(picture, (at[0], at[1] + 14))
        ImageDraw.Draw(sheet).text(at, str(index), fill="white")
    sheet.save(arguments.folder / "sheet.png")
    (arguments.folder / "sheet.txt").write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))
    print(len(groups()), "grids:", [grid for grid, _ in groups()])
    for task in ALL_TASKS:
        turn = sample(1, 5, "held_out", (200, 200), task=task).turns[-1]
        print(f"{task:>11} | {turn.question} -> {turn.answer!r}")
    for family in FAMILIES:
        start = time.perf_counter()
        for index in range(100):
            sample(3, index, "train", (260, 200), family=family)
        print(f"{family}: {(time.perf_counter() - start) * 10:.1f} ms a conversation")


if __name__ == "__main__":
    main()
