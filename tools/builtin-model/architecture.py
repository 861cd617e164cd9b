"""The model: configurations of a genuine Qwen3-VL, and a forward pass of its own modules made for training.

Transformers runs the vision tower picture by picture. All pictures of a training batch have one size, so here they
go through the same modules as one batch; `check.py` shows that the numbers are the same.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import GenerationConfig, Qwen2TokenizerFast, Qwen3VLConfig, Qwen3VLForConditionalGeneration
from transformers.models.qwen3_vl.modeling_qwen3_vl import apply_rotary_pos_emb_vision

from batches import Batch
from vocabulary import ROWS

HEAD = 32
PRESETS = {
    "tiny": {"hidden": 96, "layers": 3, "mlp": 256, "vision": 64, "vision_mlp": 256, "depth": 3, "taps": [0, 1]},  # smoke tests
    "small": {"hidden": 192, "layers": 5, "mlp": 512, "vision": 128, "vision_mlp": 512, "depth": 5, "taps": [1, 3]},
    "base": {"hidden": 256, "layers": 6, "mlp": 704, "vision": 192, "vision_mlp": 576, "depth": 6, "taps": [1, 3]},
}


def create(preset: str, tokenizer: Qwen2TokenizerFast) -> Qwen3VLForConditionalGeneration:
    shape = PRESETS[preset]
    text = {
        "vocab_size": ROWS,
        "hidden_size": shape["hidden"],
        "intermediate_size": shape["mlp"],
        "num_hidden_layers": shape["layers"],
        "num_attention_heads": shape["hidden"] // HEAD,
        "num_key_value_heads": shape["hidden"] // HEAD // (3 if shape["hidden"] % (2 * HEAD) else 2),
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
    model.generation_config = GenerationConfig(do_sample=False, eos_token_id=ends, pad_token_id=ends[1])
    return model


def look(visual: nn.Module, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Pictures of one size, uint8 [N, 3, H, W] -> embeddings [N * tokens, hidden] and the deepstack ones alike."""
    patch, merge = visual.patch_size, visual.spatial_merge_size
    count, channels, height, width = pixels.shape
    rows, columns = height // patch, width // patch
    # patches of one merged token are neighbours in the sequence
    cut = pixels.view(count, channels, rows // merge, merge, patch, columns // merge, merge, patch)
    cut = cut.permute(0, 2, 5, 3, 6, 1, 4, 7).reshape(count, rows * columns, -1)
    weight = visual.patch_embed.proj.weight.sum(dim=2).flatten(1)  # both frames of a still picture are the same
    hidden = F.linear(cut.to(weight.dtype) / 127.5 - 1.0, weight, visual.patch_embed.proj.bias)

    grid = torch.tensor([[1, rows, columns]])
    hidden = hidden + visual.fast_pos_embed_interpolate(grid)
    angles = visual.rot_pos_emb(grid)
    angles = torch.cat((angles, angles), dim=-1)
    turn = (angles.cos(), angles.sin())

    taps = []
    for index, block in enumerate(visual.blocks):
        hidden = hidden + _attend(block.attn, block.norm1(hidden), turn)
        hidden = hidden + block.mlp(block.norm2(hidden))
        if index in visual.deepstack_visual_indexes:
            tap = visual.deepstack_visual_indexes.index(index)
            taps.append(visual.deepstack_merger_list[tap](hidden))
    return visual.merger(hidden), taps


def _attend(attention: nn.Module, hidden: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    count, length, width = hidden.shape
    qkv = attention.qkv(hidden).view(count, length, 3, attention.num_heads, -1)
    query, key, value = qkv.unbind(2)
    query, key = apply_rotary_pos_emb_vision(query, key, *turn)
    mixed = F.scaled_dot_product_attention(query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2))
    return attention.proj(mixed.transpose(1, 2).reshape(count, length, width))


def hidden_states(model: Qwen3VLForConditionalGeneration, pixels: Tensor | None, ids: Tensor, positions: Tensor) -> Tensor:
    """ids [B, L], positions [3, B, L] -> the last hidden states [B, L, hidden]. Rows may be padded at their end."""
    text = model.model.language_model
    embeddings = text.embed_tokens(ids)
    seen, taps = None, None
    if pixels is not None and len(pixels):
        main, taps = look(model.model.visual, pixels)
        seen = ids == model.config.image_token_id
        embeddings = embeddings.masked_scatter(seen[..., None], main.to(embeddings.dtype))
    # the row in front keeps transformers from taking a picture's equal positions for packed sequences
    order = torch.arange(ids.shape[1], device=ids.device).expand(1, *ids.shape)
    return text(
        inputs_embeds=embeddings,
        position_ids=torch.cat([order, positions]),
        visual_pos_masks=seen,
        deepstack_visual_embeds=taps,
        use_cache=False,
    ).last_hidden_state


def answer_logits(model: Qwen3VLForConditionalGeneration, batch: Batch) -> tuple[Tensor, Tensor]:
    """Logits of every answer token [N, vocabulary] and the tokens themselves [N]."""
    hidden = hidden_states(model, batch.pixels, batch.ids, batch.positions)
    chosen = batch.turns[:, 1:] >= 0
    return model.lm_head(hidden[:, :-1][chosen]), batch.ids[:, 1:][chosen]
