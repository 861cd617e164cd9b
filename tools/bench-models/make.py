"""Writes random-weight GGUF pairs of true shapes for the benchmarks. See README.md."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def parse_arguments() -> argparse.Namespace:
    from shapes import MODELS
    from tensors import FILE_TYPES

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('models', nargs='*', metavar='model', help=f'any of {", ".join(MODELS)} (default: 2b)')
    parser.add_argument('--type', choices=FILE_TYPES, default='q4_0', help='type of the text weights (default: q4_0)')
    parser.add_argument('--out', type=Path, default=ROOT / 'build-bench', help='folder (default: build-bench)')
    parser.add_argument('--llama', type=Path, default=ROOT / '.llama.cpp' / 'src', help='the pinned llama.cpp source')
    parser.add_argument('--seed', type=int, default=1)
    arguments = parser.parse_args()
    arguments.models = arguments.models or ['2b']
    if unknown := set(arguments.models) - set(MODELS):
        parser.error(f'unknown model {", ".join(sorted(unknown))}; known: {", ".join(MODELS)}')
    if not (arguments.llama / 'gguf-py').is_dir():
        parser.error(f'no llama.cpp source in {arguments.llama}; run "npm run build:native" once or name it with --llama')
    return arguments


def main() -> None:
    arguments = parse_arguments()
    sys.path.insert(0, str(arguments.llama / 'gguf-py'))
    from metadata import text_writer, vision_writer
    from shapes import MODELS
    from tensors import Quant, text_tensors, vision_tensors
    from vocab import Vocab

    arguments.out.mkdir(parents=True, exist_ok=True)
    vocab = Vocab(arguments.llama / 'models' / 'ggml-vocab-qwen2.gguf')
    for key in arguments.models:
        model = MODELS[key]
        path = arguments.out / f'{model.name}-random-{arguments.type.upper()}.gguf'
        writer = text_writer(path, model, arguments.type, vocab)
        write(writer, path, text_tensors(model.text, Quant(arguments.type, model.text)), arguments.seed)
        path = arguments.out / f'mmproj-{model.name}-random-F16.gguf'
        write(vision_writer(path, model), path, vision_tensors(model), arguments.seed)


def write(writer, path: Path, tensors: Iterable, seed: int) -> None:
    """Header by gguf-py, weights as a stream: memory stays flat whatever the size of the model."""
    import gguf
    from blocks import BLOCK, Tape, ones, zeros

    rng = np.random.default_rng(seed)
    tapes: dict[str, Tape] = {}
    tensors = list(tensors)
    sizes = []
    for tensor in tensors:
        kind = 'F32' if tensor.kind in ('one', 'zero') else tensor.kind
        weights, size = BLOCK[kind]
        sizes.append(int(np.prod(tensor.shape)) // weights * size)
        writer.add_tensor_info(
            tensor.name, tensor.shape, np.dtype(np.float32), sizes[-1], raw_dtype=gguf.GGMLQuantizationType[kind]
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()

    with path.open('ab') as out:
        def pad() -> None:
            out.write(bytes(-out.tell() % gguf.GGUF_DEFAULT_ALIGNMENT))

        pad()
        for tensor, size in zip(tensors, sizes):
            if tensor.kind == 'one':
                ones(out, size)
            elif tensor.kind == 'zero':
                zeros(out, size)
            else:
                if tensor.kind not in tapes:
                    tapes[tensor.kind] = Tape(tensor.kind, rng)
                tapes[tensor.kind].write(out, size)
            pad()
    print(f'{path}  {path.stat().st_size / 1e9:.2f} GB')


if __name__ == '__main__':
    main()
