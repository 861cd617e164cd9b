"""Writes the checkpoint of a run, converts it with llama.cpp's converter, and reports the sizes.

    python export.py out/base --llama-cpp ../../.llama.cpp/src
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from checkpoint import write

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools" / "fixtures"))
from convert import WRAPPER  # noqa: E402

TYPES = {"model": ("f32", "f16", "q8_0"), "mmproj": ("f32", "f16", "q8_0")}
NAME = "Qwen3-VL built-in"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--llama-cpp", type=Path, default=ROOT / ".llama.cpp" / "src", help="llama.cpp v0.5.0 source tree")
    arguments = parser.parse_args()
    checkpoint, folder = arguments.run / "checkpoint", arguments.run / "gguf"
    write(arguments.run, checkpoint)
    folder.mkdir(exist_ok=True)
    for kind, types in TYPES.items():
        for each in types:
            target = folder / f"{kind}-{each}.gguf"
            convert(arguments.llama_cpp, checkpoint, target, each, ["--mmproj"] if kind == "mmproj" else [])
            print(f"{target.name:20} {target.stat().st_size / 1e6:6.2f} MB")


def convert(llama_cpp: Path, checkpoint: Path, target: Path, outtype: str, extra: list[str]) -> None:
    command = [sys.executable, "-c", WRAPPER, str(llama_cpp), "qwen2", str(checkpoint), "--outfile", str(target)]
    command += ["--outtype", outtype, "--model-name", NAME, *extra]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"the converter failed for {target.name}:\n{done.stderr[-4000:]}")


if __name__ == "__main__":
    main()
