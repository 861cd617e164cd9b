"""Writes the checkpoint of a run, converts it with llama.cpp's converter, declares its use, and reports the sizes.

    python export.py out/whole --llama-cpp ../../.llama.cpp/src
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from checkpoint import write
from grids import MAX_PIXELS, MIN_PIXELS

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools" / "fixtures"))
from convert import WRAPPER  # noqa: E402

TYPES = {"model": ("f32", "f16", "q8_0"), "mmproj": ("f32", "f16", "q8_0")}
NAME = "Qwen3-VL built-in"
# How the model is to be used: the package reads it from the files, so that it needs no special case for this model.
DECLARED = {
    "model": {"general.sampling.top_k": 1},  # greedy
    "mmproj": {"clip.vision.image_min_pixels": MIN_PIXELS, "clip.vision.image_max_pixels": MAX_PIXELS},
}


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
            declare(arguments.llama_cpp, target, DECLARED[kind])
            print(f"{target.name:20} {target.stat().st_size / 1e6:6.2f} MB")


def convert(llama_cpp: Path, checkpoint: Path, target: Path, outtype: str, extra: list[str]) -> None:
    command = [sys.executable, "-c", WRAPPER, str(llama_cpp), "qwen2", str(checkpoint), "--outfile", str(target)]
    command += ["--outtype", outtype, "--model-name", NAME, *extra]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"the converter failed for {target.name}:\n{done.stderr[-4000:]}")


def declare(llama_cpp: Path, target: Path, values: dict[str, int]) -> None:
    sys.path.insert(0, str(llama_cpp / "gguf-py"))
    from gguf import GGUFReader, GGUFValueType, GGUFWriter
    from gguf.scripts.gguf_new_metadata import MetadataDetails, copy_with_new_metadata

    plain = target.rename(target.with_suffix(".plain"))
    reader = GGUFReader(plain)
    writer = GGUFWriter(target, arch=reader.fields["general.architecture"].contents())
    copy_with_new_metadata(reader, writer, {key: MetadataDetails(GGUFValueType.UINT32, value) for key, value in values.items()}, [])
    plain.unlink()


if __name__ == "__main__":
    main()
