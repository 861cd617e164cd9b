// A computed sequence behind the end of a file, to go on with after a restart: its items, its KV cells and copies of its
// recurrent state. It only saves time: what is damaged, cut off or of another model is not there.
#pragma once

#include "checkpoints.h"
#include "sequence.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

namespace qvl {

// What of a sequence outlives its context.
struct StoredSequence {
    std::vector<SequenceItem> items;
    std::vector<bool> batch_ends;  // one an item
    std::vector<Checkpoints::Copy> copies;
    std::vector<uint8_t> state;  // as llama.cpp writes it: cells with all axes of their positions
};

// Of it in a file.
uint64_t state_bytes(const std::string & identity, const StoredSequence & sequence);
// Appends to a file, for a model of this identity; stops where `stop` says so.
std::error_code append_state(const std::filesystem::path & path, const std::string & identity,
                             const StoredSequence & sequence, const std::function<bool()> & stop);

// What was appended at `offset`, if it is whole and of this identity.
std::optional<StoredSequence> read_state(const std::filesystem::path & path, uint64_t offset,
                                         const std::string & identity);

}  // namespace qvl
