#include "prompt_cache.h"

#include "hash/xxhash/xxhash.h"

#include <algorithm>
#include <new>

namespace qvl {

namespace {

// Pictures at whose ends a prompt may part from the one that was kept, the last ones first.
constexpr size_t kMostPlaces = 8;
// Copies of KV cells that wait for a slow disk.
constexpr int kMostUnwritten = 2;

// 256 bits as 64 hexadecimal digits. Equal names are not enough: what is read is compared.
std::string name_of(const std::vector<SequenceItem> & prompt, size_t items) {
    std::string bytes;
    const auto add = [&](const auto & value) { bytes.append(reinterpret_cast<const char *>(&value), sizeof(value)); };
    for (size_t i = 0; i < items; i++) {
        add(prompt[i].token);
        add(prompt[i].position);
        add(prompt[i].cells);
        add(prompt[i].adapters);
        bytes += prompt[i].media;
    }
    static const char * digits = "0123456789abcdef";
    std::string name;
    for (const XXH64_hash_t seed : {XXH64_hash_t{0}, XXH64_hash_t{1}}) {
        XXH128_canonical_t canonical;
        XXH128_canonicalFromHash(&canonical, XXH3_128bits_withSeed(bytes.data(), bytes.size(), seed));
        for (const unsigned char byte : canonical.digest) {
            name += digits[byte >> 4];
            name += digits[byte & 15];
        }
    }
    return name;
}

}  // namespace

PromptCache::PromptCache(const CacheParams & params, const std::string & identity,
                         std::function<void(const Error &)> warning, std::function<void()> wake)
    : identity_(identity), warning_(std::move(warning)), wake_(std::move(wake)),
      folder_(params.folder, identity, ".prompt", params.folder_bytes), worker_("qvl-prompts") {}

size_t PromptCache::last_picture(const std::vector<SequenceItem> & prompt, size_t size) {
    while (size > 0 && prompt[size - 1].token >= 0) {
        size--;
    }
    return size;
}

std::shared_ptr<const PromptCache::Search> PromptCache::search(const std::vector<SequenceItem> & prompt, size_t known) {
    std::vector<std::string> names;
    for (size_t items = last_picture(prompt, prompt.size()); items > known && names.size() < kMostPlaces;
         items = last_picture(prompt, items - 1)) {
        // Not between frames of a video: what follows must not have the same position.
        if (prompt[items].token >= 0) {
            names.push_back(name_of(prompt, items));
        }
    }
    if (names.empty()) {
        return nullptr;
    }
    auto begun = std::make_shared<Search>();
    worker_.post([this, begun, names = std::move(names)] {
        look(names, *begun);
        begun->done = true;
        wake_();
    });
    return begun;
}

void PromptCache::look(const std::vector<std::string> & names, Search & search) {
    for (const auto & name : names) {
        const auto path = folder_.path_of(name);
        std::error_code ignored;
        if (!std::filesystem::exists(path, ignored)) {
            continue;
        }
        try {
            search.found = read_state(path, 0, identity_);
        } catch (const std::bad_alloc &) {
            return;
        }
        if (search.found) {
            folder_.touch(name);
            return;
        }
        folder_.remove(name);
    }
}

void PromptCache::keep(StoredSequence sequence) {
    if (unwritten_ >= kMostUnwritten) {
        return;
    }
    unwritten_++;
    const auto kept = std::make_shared<const StoredSequence>(std::move(sequence));
    worker_.post([this, kept] {
        write(name_of(kept->items, kept->items.size()), *kept);
        unwritten_--;
    });
}

void PromptCache::write(const std::string & name, const StoredSequence & sequence) {
    if (folder_.touch(name)) {
        return;
    }
    try {
        folder_.write(name, state_bytes(identity_, sequence), [&](const std::filesystem::path & path) {
            return append_state(path, identity_, sequence, [] { return false; });
        });
    } catch (const std::exception & error) {
        warning_(error);
    }
}

}  // namespace qvl
