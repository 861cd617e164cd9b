// What was computed of prompts up to their last picture, in the folder of the embedding cache: after a restart a question
// about a picture that was seen costs what it costs without one. The engine thread asks, a thread of its own reads and
// writes.
#pragma once

#include "cache_folder.h"
#include "error.h"
#include "first_warning.h"
#include "params.h"
#include "state_file.h"
#include "worker.h"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace qvl {

class PromptCache {
  public:
    // One look into the folder. `found` may be read once `done`.
    struct Search {
        std::atomic<bool> done{false};
        std::optional<StoredSequence> found;
    };

    // `identity` names all that decides about what is computed. `warning` hears once of what went wrong, `wake` of every
    // end of a search, both from the other thread.
    PromptCache(const CacheParams & params, const std::string & identity, std::function<void(const Error &)> warning,
                std::function<void()> wake);

    // Begins to look for more than the first `known` items of a prompt. nullptr: more is never kept.
    std::shared_ptr<const Search> search(const std::vector<SequenceItem> & prompt, size_t known);
    // Keeps it, unless the disk is too slow.
    void keep(StoredSequence sequence);

    // Items up to and with the last picture of a prompt; 0: it has none.
    static size_t last_picture(const std::vector<SequenceItem> & prompt, size_t size);

  private:
    void look(const std::vector<std::string> & names, Search & search);
    void write(const std::string & name, const StoredSequence & sequence);

    const std::string identity_;
    FirstWarning warning_;  // the worker's
    const std::function<void()> wake_;
    CacheFolder folder_;
    std::atomic<int> unwritten_{0};
    Worker worker_;
};

}  // namespace qvl
