// Plain data that crosses into the engine: what to load, what to run. Filled by the binding, policy is TypeScript's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace qvl {

// Embedding rows of a picture. They are never changed, and tens of megabytes: who needs them shares them.
using SharedRows = std::shared_ptr<const std::vector<float>>;

// Embeddings of pictures that are kept for later requests.
struct CacheParams {
    uint64_t memory_bytes = 0;
    std::string folder = {};  // empty: none on the disk
    uint64_t folder_bytes = 0;
    std::string encoder = {};  // identity of the projector's content and of what else decides about the rows
    std::string prompts = {};  // of all that decides about KV cells; empty: prompts are not kept
};

// Where the embedding of a picture is kept. `disk` includes the memory.
enum class Keep { none, memory, disk };

struct EngineParams {
    std::string model;
    std::string mmproj;  // empty: text only
    int context_size;
    int batch_size;
    int threads;                  // 0: usable_cores
    int gpu_layers;               // -1: all
    std::string flash_attention;  // "auto", "on", "off"
    std::string cache_type;       // "f16", "f32", "q8_0"
    bool mmap;
    bool exact_encoder =
        false;  // weights of the encoder as the file has them, else in the fastest type that holds them
    CacheParams cache = {};
    int parallel = 4;                        // sequences that are computed at the same time
    bool deterministic = false;              // an answer does not depend on what runs beside it
    int step_ms = 100;                       // how long a step may take while answers are generated
    bool log = false;                        // tell what llama.cpp logs
    bool mtp = false;                        // guess with the head for multi-token prediction, if the file has one
    std::vector<std::string> adapters = {};  // LoRA files
};

struct TextSegment {
    std::vector<int32_t> tokens;
    int32_t position;  // of the first token
};

// A picture, or two frames of a video that become one temporal index.
struct ImageSegment {
    std::vector<uint8_t> pixels;   // RGB at the encoder's exact size, frame after frame; empty with an `embedding`
    std::vector<float> embedding;  // [count × embedding width]
    int width = 0;
    int height = 0;
    int frames = 1;
    int32_t order = 0;  // among the pairs of one video, whose positions in time may be equal
    std::string hash;
    Keep cache = Keep::none;
    int32_t count = 0;               // embedding rows
    std::vector<int32_t> positions;  // [3 × count]: t, h, w
};

using Segment = std::variant<TextSegment, ImageSegment>;

// An answer that begins inside a thought.
struct ThoughtParams {
    int budget = -1;                    // tokens of the thought; -1: no limit, or no thought
    int32_t end = -1;                   // token that ends a thought
    std::vector<int32_t> closing = {};  // what is written when the budget is spent: not empty then
};

struct SamplingParams {
    float temperature;
    int top_k;
    float top_p;
    float min_p;
    float repetition_penalty;
    float presence_penalty;
    float frequency_penalty;
    uint32_t seed;
    std::string grammar = {};  // GBNF; empty: none
    ThoughtParams thought = {};
    std::vector<std::pair<int32_t, float>> bias = {};  // of tokens: added to their logits
};

struct GenerateParams {
    std::vector<Segment> segments;
    int32_t position;  // of the first generated token
    int max_tokens;    // 0: no limit but the context
    std::vector<int32_t> stop_tokens;
    std::vector<std::string> stop;
    int logprobs;  // -1: none
    int32_t pad_token;
    SamplingParams sampling;
    int speculate = 0;                 // most tokens that are guessed ahead at a time
    std::vector<float> adapters = {};  // scale of each adapter of the engine; 0: not used
};

struct EncodeParams {
    ImageSegment image;
};

// Keeps in a file what is computed of a prompt, for a model of this identity.
struct SaveStateParams {
    std::vector<Segment> segments;  // pictures by their hash alone
    std::vector<float> adapters;
    std::string path;  // appended to
    std::string identity;
};

struct RestoreStateParams {
    std::string path;
    uint64_t offset;
    std::string identity;
};

}  // namespace qvl
