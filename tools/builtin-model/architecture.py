"""The model: configurations of a genuine Qwen3-VL, and a forward pass of its own weights made for training.

Transformers runs the vision tower picture by picture and knows no rows of several conversations. All pictures of a
training batch have one size, so here they go through as one batch; `check.py` shows that the numbers are the same.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import GenerationConfig, Qwen2TokenizerFast, Qwen3VLConfig, Qwen3VLForConditionalGeneration

from batches import Batch
from layout import SHARED
from vocabulary import ROWS

HEAD = 32
LOOKING = 3  # blocks of the tower behind which a patch has seen its letter


class Seen(NamedTuple):
    """What a language model gets of pictures."""

    main: Tensor  # [image tokens, hidden]
    taps: list[Tensor]  # the deepstack ones alike
    patches: Tensor | None = None  # [patches, vision hidden] behind LOOKING blocks, four of a token in turn: for training alone


PRESETS = {
    "tiny": {"hidden": 128, "layers": 3, "mlp": 256, "vision": 64, "vision_mlp": 256, "depth": 3, "taps": [0, 1]},  # smoke tests
    "small": {"hidden": 192, "layers": 5, "mlp": 448, "vision": 192, "vision_mlp": 576, "depth": 5, "taps": [2]},
}


# Where the heads of the first blocks look in the beginning: (rows, columns) from a patch. Further heads are free.
_CROSS = [(0, 1), (0, -1), (1, 0), (-1, 0)]
_DIAGONAL = [(1, 1), (-1, -1), (1, -1), (-1, 1)]
NEIGHBOURS = [[*_CROSS, *_DIAGONAL[:2]], [*_CROSS, *_DIAGONAL[2:]], [(2 * y, 2 * x) for y, x in _CROSS], _CROSS]
PEAK = 5.5


def create(preset: str, tokenizer: Qwen2TokenizerFast) -> Qwen3VLForConditionalGeneration:
    shape = PRESETS[preset]
    text = {
        "vocab_size": ROWS,
        "hidden_size": shape["hidden"],
        "intermediate_size": shape["mlp"],
        "num_hidden_layers": shape["layers"],
        "num_attention_heads": shape["hidden"] // HEAD,
        "num_key_value_heads": shape["hidden"] // HEAD,
        "head_dim": HEAD,
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10_000.0,  # no long texts here: fast frequencies tell neighbouring tokens apart
        "rope_scaling": {"rope_type": "default", "mrope_section": [6, 5, 5], "mrope_interleaved": True},
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "tie_word_embeddings": True,
    }
    vision = {
        "hidden_size": shape["vision"],
        "intermediate_size": shape["vision_mlp"],
        "depth": shape["depth"],
        "num_heads": shape["vision"] // HEAD,
        "out_hidden_size": shape["hidden"],
        "deepstack_visual_indexes": shape["taps"],
        "num_position_embeddings": 16 * 16,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "in_channels": 3,
    }
    ids = {
        "image_token_id": "<|image_pad|>",
        "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
    }
    ids = {key: tokenizer.convert_tokens_to_ids(token) for key, token in ids.items()}
    config = Qwen3VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=True, **ids)
    model = Qwen3VLForConditionalGeneration._from_config(config, attn_implementation="sdpa")
    ends = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    _initialise(model)
    model.generation_config = GenerationConfig(do_sample=False, eos_token_id=ends, pad_token_id=ends[1])
    return model


@torch.no_grad()
def _initialise(model: Qwen3VLForConditionalGeneration) -> None:
    """The reference's 0.02 suits widths of thousands. Narrow layers start at one over the root of their inputs. The two
    tables that the tower begins with are not random: what a patch shows and where it lies have halves of the width."""
    visual, text = model.model.visual, model.model.language_model
    layers = len(visual.blocks) + len(text.layers)
    for name, module in model.model.named_modules():
        if isinstance(module, nn.Linear):
            into_residual = name.endswith(("attn.proj", "mlp.linear_fc2", "o_proj", "down_proj")) and "merger" not in name
            nn.init.normal_(module.weight, std=(module.in_features * (layers if into_residual else 1)) ** -0.5)
    width = visual.pos_embed.weight.shape[1]
    side = round(len(visual.pos_embed.weight) ** 0.5)
    visual.pos_embed.weight.copy_(torch.cat((_waves(side, width // 2), torch.zeros(side**2, width - width // 2)), dim=1))
    first = visual.patch_embed.proj
    first.weight.zero_()
    filters = _frequencies(visual.patch_size, width - width // 2)
    first.weight[width // 2 :] = filters[:, :, None].expand(-1, -1, 2, -1, -1) / 2
    first.bias.zero_()
    for block, offsets in zip(visual.blocks, NEIGHBOURS, strict=False):
        _look_aside(block.attn.qkv.bias, offsets)
    for merger in visual.deepstack_merger_list:
        merger.linear_fc2.weight.zero_()
    nn.init.normal_(text.embed_tokens.weight, std=text.embed_tokens.weight.shape[1] ** -0.5)
    for layer in text.layers:
        _copy_likes(layer.self_attn)


def _copy_likes(attention: nn.Module) -> None:
    """Two of three heads begin by attending to what is like a token itself, and by adding a part of what they find."""
    queries, keys, values = (each.weight.view(-1, HEAD, each.in_features) for each in (attention.q_proj, attention.k_proj, attention.v_proj))
    for head in range(len(queries)):
        if head % 3 < 2:
            queries[head] = keys[head]
            attention.o_proj.weight[:, head * HEAD : (head + 1) * HEAD] = values[head].T / 2


def _look_aside(bias: Tensor, offsets: list[tuple[int, int]]) -> None:
    """Biases of queries and keys with which head i attends to the patch at offsets[i] (rows, columns) from its own, as a
    convolution does: rotary positions turn the product of two constant vectors into a function of the distance. The two
    fastest frequencies make a peak that a content must outbid by about three to move the head to a neighbour."""
    queries, keys = bias.view(3, -1, HEAD)[:2]
    quarter = HEAD // 4  # rotary pairs of an axis: (i, i + HEAD / 2); rows come first
    frequencies = 10_000.0 ** -(torch.arange(2) / quarter)
    for head, offset in enumerate(offsets[: len(keys)]):
        for axis, distance in enumerate(offset):
            for pair, frequency in enumerate(frequencies):
                index, angle = axis * quarter + pair, frequency * distance
                keys[head, index] = PEAK
                queries[head, index] = PEAK * angle.cos()
                queries[head, index + HEAD // 2] = PEAK * angle.sin()


def _waves(side: int, width: int) -> Tensor:
    """[side * side, width]: sines and cosines of row and column, from half a wave over the picture to one in two cells."""
    place = (torch.arange(side) + 0.5) / side
    turns = torch.pi * torch.logspace(0, 1, width // 4, base=side / 2)
    angles = place[:, None] * turns
    wave = torch.cat((angles.sin(), angles.cos()), dim=1)
    rows, columns = wave[:, None].expand(-1, side, -1), wave[None].expand(side, -1, -1)
    return torch.cat((rows, columns), dim=2).flatten(0, 1)


def _frequencies(side: int, count: int) -> Tensor:
    """[count, 3, side, side]: the lowest cosine waves of a patch, two parts of three for brightness, the rest for two
    differences of colour, as JPEG spends its bits. Each answers a patch of random pixels with about one."""
    place = (torch.arange(side) + 0.5) / side
    order = sorted(((row, column) for row in range(side) for column in range(side)), key=lambda at: (at[0] ** 2 + at[1] ** 2, at))
    colours = torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, 0.0], [-0.5, -0.5, 1.0]])
    counts = (count - 2 * (count // 6), count // 6, count // 6)
    found = []
    for colour, some in zip(colours, counts, strict=True):
        for row, column in order[:some]:
            wave = torch.outer((torch.pi * row * place).cos(), (torch.pi * column * place).cos())
            wave = wave / wave.square().sum().sqrt() / (side if row == column == 0 else side / 24)  # edges are rare
            found.append(colour[:, None, None] / colour.square().sum().sqrt() * wave)
    return torch.stack(found)


def look(visual: nn.Module, pixels: Tensor) -> Seen:
    """Pictures of one size, uint8 [N, 3, H, W] -> their N * tokens image tokens."""
    patch, merge = visual.patch_size, visual.spatial_merge_size
    count, channels, height, width = pixels.shape
    rows, columns = height // patch, width // patch
    # patches of one merged token are neighbours in the sequence
    cut = pixels.view(count, channels, rows // merge, merge, patch, columns // merge, merge, patch)
    cut = cut.permute(0, 2, 5, 3, 6, 1, 4, 7).reshape(count, rows * columns, -1)
    weight = visual.patch_embed.proj.weight.sum(dim=2).flatten(1)  # both frames of a still picture are the same
    hidden = F.linear(cut.to(weight.dtype) / 127.5 - 1.0, weight, visual.patch_embed.proj.bias)

    grid = torch.tensor([[1, rows, columns]])
    hidden = hidden + visual.fast_pos_embed_interpolate(grid).to(weight.dtype)
    angles = visual.rot_pos_emb(grid)
    angles = torch.cat((angles, angles), dim=-1)
    turn = (angles.cos().to(weight.dtype), angles.sin().to(weight.dtype))

    taps, patches = [], hidden
    for index, block in enumerate(visual.blocks):
        queries, keys, values = block.attn.qkv(block.norm1(hidden)).view(count, rows * columns, 3, -1, HEAD).permute(2, 0, 3, 1, 4)
        hidden = hidden + block.attn.proj(_mix(queries, keys, values, turn, None))
        hidden = hidden + block.mlp(block.norm2(hidden))
        patches = hidden if index + 1 == LOOKING else patches
        if index in visual.deepstack_visual_indexes:
            tap = visual.deepstack_visual_indexes.index(index)
            taps.append(visual.deepstack_merger_list[tap](hidden))
    return Seen(visual.merger(hidden), taps, patches.flatten(0, 1))


def hidden_states(model: Qwen3VLForConditionalGeneration, batch: Batch, seen: Seen | None, layers: int | None = None) -> Tensor:
    """The last hidden states [B, L, hidden] of a batch whose pictures look like `seen`, or those behind the first `layers`."""
    text = model.model.language_model
    hidden = text.embed_tokens(batch.ids)
    places = (batch.ids == model.config.image_token_id)[..., None]
    taps = seen.taps if seen else []
    if seen:
        hidden = hidden.masked_scatter(places, seen.main)
    cosines, sines = text.rotary_emb(hidden, batch.positions)
    turn = (cosines[:, None], sines[:, None])
    mask = _mask(batch.branches, hidden.dtype)
    for index, layer in enumerate(text.layers[:layers]):
        hidden = hidden + _read(layer.self_attn, _norm(layer.input_layernorm, hidden), turn, mask)
        hidden = hidden + layer.mlp(_norm(layer.post_attention_layernorm, hidden))
        if index < len(taps):
            hidden = hidden + torch.zeros_like(hidden).masked_scatter(places, taps[index])
    return _norm(text.norm, hidden) if layers is None else hidden


def answer_logits(model: Qwen3VLForConditionalGeneration, batch: Batch, seen: Seen | None) -> tuple[Tensor, Tensor]:
    """Logits of every answer token [N, vocabulary] and the tokens themselves [N]."""
    hidden = hidden_states(model, batch, seen)
    chosen = batch.turns[:, 1:] >= 0
    return model.lm_head(hidden[:, :-1][chosen]), batch.ids[:, 1:][chosen]


def _mask(branches: Tensor, dtype: torch.dtype) -> Tensor:
    """[B, 1, L, L] to add: a token sees what comes before it in its own branch and in the shared one."""
    order = torch.arange(branches.shape[1], device=branches.device)
    sees = (branches[:, None, :] == SHARED) | (branches[:, :, None] == branches[:, None, :])
    sees = sees & (order[None, :, None] >= order[None, None, :])
    return torch.zeros(sees.shape, dtype=dtype, device=branches.device).masked_fill_(~sees, -3e4)[:, None]


def _read(attention: nn.Module, hidden: Tensor, turn: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
    shape = (*hidden.shape[:2], -1, HEAD)
    queries = _norm(attention.q_norm, attention.q_proj(hidden).view(shape)).transpose(1, 2)
    keys = _norm(attention.k_norm, attention.k_proj(hidden).view(shape)).transpose(1, 2)
    values = attention.v_proj(hidden).view(shape).transpose(1, 2)
    return attention.o_proj(_mix(queries, keys, values, turn, mask))


def _mix(queries: Tensor, keys: Tensor, values: Tensor, turn: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
    """Attention of [N, heads, L, HEAD]. Written out: on a CPU its backward pass is faster than the fused one's."""
    queries, keys = _turned(queries * HEAD**-0.5, *turn), _turned(keys, *turn)
    group = queries.shape[1] // keys.shape[1]
    if group > 1:
        keys, values = keys.repeat_interleave(group, 1), values.repeat_interleave(group, 1)
    scores = queries @ keys.transpose(-1, -2)
    if mask is not None:
        scores = scores + mask
    return (scores.softmax(-1) @ values).transpose(1, 2).flatten(2)


def _turned(states: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    first, second = states.chunk(2, dim=-1)
    return states * cosines + torch.cat((-second, first), dim=-1) * sines


class _RootMeanSquare(torch.autograd.Function):
    """RMS norm in the type of its input alone: on a CPU mixed types fall out of vector code."""

    @staticmethod
    def forward(ctx, hidden: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        square = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True, dtype=torch.float32).square() / hidden.shape[-1]
        scale = (square + epsilon).rsqrt().to(hidden.dtype)
        ctx.save_for_backward(hidden, weight, scale)
        return hidden * scale * weight

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        hidden, weight, scale = ctx.saved_tensors
        normal = hidden * scale
        inner = gradient * weight
        along = (inner * normal).mean(-1, keepdim=True)
        return (inner - normal * along) * scale, (gradient * normal).flatten(0, -2).sum(0), None


def _norm(norm: nn.Module, hidden: Tensor) -> Tensor:
    return _RootMeanSquare.apply(hidden, norm.weight, norm.variance_epsilon)
