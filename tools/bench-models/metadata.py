"""The GGUF header of a text model and of its projector, with the keys that llama.cpp's converter writes."""
from __future__ import annotations

from pathlib import Path

import gguf

from shapes import Model
from tensors import FILE_TYPES
from vocab import Vocab, chat_template


def text_writer(path: Path, model: Model, file_type: str, vocab: Vocab) -> gguf.GGUFWriter:
    text = model.text
    writer = gguf.GGUFWriter(path, text.arch)
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(f'{model.name} random weights')
    writer.add_file_type(FILE_TYPES[file_type])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_block_count(text.layers)
    writer.add_context_length(text.context)
    writer.add_embedding_length(text.hidden)
    writer.add_feed_forward_length(text.ffn)
    writer.add_head_count(text.heads)
    writer.add_head_count_kv(text.kv_heads)
    writer.add_rope_freq_base(text.rope_base)
    writer.add_rope_dimension_sections(text.rope_sections)
    writer.add_layer_norm_rms_eps(1e-6)
    if text.is_qwen3:
        writer.add_key_length(text.head_dim)
        writer.add_value_length(text.head_dim)
        writer.add_num_deepstack_layers(len(model.vision.deepstack))
    vocab.add_to(writer, text.vocab, model.last_special)
    writer.add_chat_template(chat_template(default_system=not text.is_qwen3))
    return writer


def vision_writer(path: Path, model: Model) -> gguf.GGUFWriter:
    vision = model.vision
    writer = gguf.GGUFWriter(path, 'clip')
    writer.add_type(gguf.GGUFType.MMPROJ)
    writer.add_name(f'{model.name} random weights')
    writer.add_file_type(FILE_TYPES['f16'])
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type(vision.projector)
    writer.add_vision_projection_dim(model.text.hidden)
    writer.add_vision_image_size(vision.image_size)
    writer.add_vision_patch_size(vision.patch)
    writer.add_vision_embedding_length(vision.width)
    writer.add_vision_feed_forward_length(vision.ffn)
    writer.add_vision_block_count(vision.layers)
    writer.add_vision_head_count(vision.heads)
    writer.add_vision_attention_layernorm_eps(1e-6)
    writer.add_vision_image_mean(vision.mean)
    writer.add_vision_image_std(vision.std)
    if vision.is_qwen25:
        writer.add_vision_use_silu(True)
        writer.add_vision_n_wa_pattern(8)
    if vision.is_qwen3:
        writer.add_vision_use_gelu(True)
        writer.add_vision_spatial_merge_size(2)
        writer.add_vision_is_deepstack_layers([i in vision.deepstack for i in range(vision.layers)])
    return writer
