#include "scheduler.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace qvl {

Scheduler::Scheduler(const EngineParams & params, Decoder & decoder, Encoder * encoder, PromptCache * prompts,
                     Baton * baton, RequestQueue & queue, Standing & standing, const EventSink & emit,
                     std::function<bool()> stopping, std::function<void()> wake)
    : params_(params), decoder_(decoder), prompts_(prompts), baton_(baton), queue_(queue), standing_(standing),
      stopping_(std::move(stopping)),
      memory_(decoder.get(), decoder.model(), {decoder.sequences(), params.context_size, !params.deterministic},
              decoder.head()),
      roster_(params, decoder.model(), encoder, memory_, prompts, queue, emit), guesses_(decoder, memory_, baton),
      pictures_(encoder, emit), states_(memory_, emit, std::move(wake)), budget_(params.step_ms, decoder.batch_size()),
      n_vocab_(llama_vocab_n_tokens(decoder.model().vocab())) {}

void Scheduler::finish() {
    roster_.finish();
    pictures_.finish();
    states_.finish();
    tell();
}

bool Scheduler::turn() {
    turns_++;
    roster_.end_cancelled();
    tell();
    pictures_.serve(queue_);
    states_.serve(queue_);
    roster_.admit();
    tell();
    const bool text = compute(plan());
    roster_.remove_ended();  // before a picture wants their room
    const bool picture = compute_picture();
    roster_.remove_ended();
    tell();
    return text || picture;
}

// Numbers first: whoever hears of an end and asks for them finds it counted.
void Scheduler::tell() {
    standing_.running = static_cast<int>(roster_.running().size());
    standing_.put_aside = static_cast<int>(roster_.put_aside_count());
    standing_.cells = memory_.cells();
    standing_.used_cells = memory_.used_cells();
    standing_.cached_sequences = memory_.cached_sequences();
    roster_.tell_ended();
    states_.tell_ended();
}

// ---- a step of text --------------------------------------------------------------------------------------------------

bool Scheduler::generates(const Running & run) const {
    return guesses_.prompt_done(run) && !run.generation->parked();
}

std::vector<Part> Scheduler::plan() {
    std::vector<Part> parts;
    for (const auto & run : roster_.running()) {
        if (generates(*run)) {
            parts.push_back({run.get(), roster_.computed(*run), roster_.computed(*run) + 1});
        }
    }
    int generating = static_cast<int>(parts.size());
    for (Part & part : parts) {
        const size_t left = part.run->generation->items().size() - part.end;
        const size_t more = std::min(left, static_cast<size_t>(decoder_.batch_size() - generating));
        part.end += more;
        generating += static_cast<int>(more);
    }
    int room = std::min(budget_.tokens(generating > 0, generating), decoder_.batch_size() - generating);
    for (Running * run : prompts()) {
        const size_t begin = roster_.computed(*run);
        if (room <= 0 || run->generation->items()[begin].token < 0) {
            continue;
        }
        const size_t end = text_end(*run, begin, params_.deterministic ? params_.batch_size : room);
        parts.push_back({run, begin, end});
        room -= static_cast<int>(end - begin);
    }
    keep_one_adapter_set(parts);
    for (const Part & part : parts) {
        part.run->served = turns_;
    }
    if (!params_.deterministic) {
        guesses_.add(parts, room);
    }
    if (solo_turns_ > 0 && !parts.empty()) {
        std::rotate(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(turns_ % parts.size()), parts.end());
        parts.erase(parts.begin() + 1, parts.end());
        solo_turns_--;
    }
    return parts;
}

// Adapters are set for a whole batch: those that share them are computed together, and the sets take turns.
void Scheduler::keep_one_adapter_set(std::vector<Part> & parts) const {
    if (parts.empty()) {
        return;
    }
    const uint64_t chosen = parts[turns_ % parts.size()].run->generation->adapter_set();
    parts.erase(std::remove_if(parts.begin(), parts.end(),
                               [&](const Part & part) { return part.run->generation->adapter_set() != chosen; }),
                parts.end());
}

// Whose prompt can go on, the next one first.
std::vector<Running *> Scheduler::prompts() {
    std::vector<Running *> found;
    for (const auto & run : roster_.running()) {
        if (run->generation->finished() || run->generation->parked() || guesses_.prompt_done(*run)) {
            continue;
        }
        if (roster_.waits_for_disk(*run)) {
            continue;
        }
        if (roster_.waits_for_leader(*run)) {
            run->follows = true;
            continue;
        }
        if (run->follows) {
            run->follows = false;
            memory_.catch_up(run->sequence, run->generation->items());
            run->generation->reached(roster_.computed(*run), true);
        }
        found.push_back(run.get());
    }
    for (Running * run : found) {
        run->urgency = roster_.urgency(*run);
    }
    std::sort(found.begin(), found.end(), [](const Running * a, const Running * b) {
        return std::make_tuple(-a->urgency, a->served, a->number) < std::make_tuple(-b->urgency, b->served, b->number);
    });
    return found;
}

size_t Scheduler::text_end(const Running & run, size_t begin, int most) const {
    const auto & items = run.generation->items();
    // Generated tokens that have to be computed again are computed as they were before: one by one.
    if (params_.deterministic && begin >= run.generation->prompt_size()) {
        return begin + 1;
    }
    const size_t last = params_.deterministic ? run.generation->prompt_size()
                                              : std::min(items.size(), memory_.next_place(run.sequence, begin));
    const size_t limit = std::min(begin + static_cast<size_t>(most), last);
    size_t end = begin;
    while (end < limit && items[end].token >= 0) {
        end++;
    }
    return end;
}

// False: there was nothing to compute.
bool Scheduler::compute(std::vector<Part> parts) {
    if (parts.empty()) {
        return false;
    }
    if (params_.deterministic && parts.size() > 1) {
        for (const Part & part : parts) {
            compute({part});
        }
        return true;
    }
    TokenBatch batch;
    for (auto & part : parts) {
        const auto & items = part.run->generation->items();
        part.index = static_cast<int>(batch.size());
        for (size_t i = part.begin; i < part.end; i++) {
            const bool last = i + 1 == items.size();
            const int index = batch.add(items[i], part.run->sequence, last);
            part.logits = last ? index : -1;
        }
        if (!part.guessed.empty()) {
            memory_.begin_guess(part.run->sequence);
        }
        int32_t position = items.back().position;
        for (const int32_t token : part.guessed) {
            batch.add({token, {}, ++position, 1, 0, 0}, part.run->sequence, true);
        }
    }
    const Baton::Turn turn(baton_, Baton::kDecoder);
    const auto start = Clock::now();
    decoder_.use_adapters(parts.front().run->generation->adapters());
    // A step without prompts ends soon, and asking at every node takes a third of a percent of it.
    const bool prompts =
        std::any_of(parts.begin(), parts.end(), [&](const Part & part) { return !generates(*part.run); });
    const Decoder::Outcome outcome = decoder_.decode(batch, prompts ? unwanted(parts) : std::function<bool()>());
    decoder_.synchronize();
    if (outcome == Decoder::Outcome::Done) {
        const double ms = milliseconds_since(start);
        budget_.measured(static_cast<int>(batch.size()), ms);
        keep(parts, ms);
        return true;
    }
    for (const auto & part : parts) {
        if (!part.guessed.empty()) {
            memory_.end_guess(part.run->sequence, false);
        }
    }
    if (outcome == Decoder::Outcome::NoRoom) {
        roster_.make_room();
        return true;
    }
    drop(parts);
    if (outcome == Decoder::Outcome::Failed) {
        if (parts.size() == 1) {
            parts.front().run->generation->fail(decoder_.failure());
        } else {
            solo_turns_ = static_cast<int>(roster_.running().size());
        }
    }
    return true;
}

// What was computed of them is not to be trusted.
void Scheduler::drop(const std::vector<Part> & parts) {
    if (decoder_.model().has_state() && parts.size() > 1) {
        forget_all();  // llama.cpp moves states of others beside them: they may be half moved
        return;
    }
    for (const auto & part : parts) {
        memory_.drop_from(part.run->sequence, part.run->generation->items()[part.begin].position);
    }
}

void Scheduler::keep(std::vector<Part> & parts, double ms) {
    for (const auto & part : parts) {
        auto & generation = *part.run->generation;
        for (size_t i = part.begin; i < part.end; i++) {
            memory_.append(part.run->sequence, generation.items()[i]);
        }
        if (part.end <= generation.prompt_size()) {
            // One that is not full would have been longer in a longer prompt.
            if (!params_.deterministic || part.end - part.begin == static_cast<size_t>(params_.batch_size)) {
                memory_.end_batch(part.run->sequence);
            }
            generation.count_prefill(ms);
        }
        generation.reached(part.end, false);
    }
    for (Part & part : parts) {
        if (part.logits >= 0) {
            sample(part);
        }
    }
    guesses_.learn(parts);
}

// One token, and one more for every guess that was right.
void Scheduler::sample(Part & part) {
    auto & generation = *part.run->generation;
    const int sequence = part.run->sequence;
    sample_with(part, part.logits);
    while (part.right < part.guessed.size() && generates(*part.run) &&
           generation.items().back().token == part.guessed[part.right]) {
        part.right++;
        memory_.append(sequence, generation.items().back());
        generation.reached(generation.items().size(), false);
        sample_with(part, part.logits + static_cast<int>(part.right));
    }
    if (!part.guessed.empty()) {
        generation.count_guesses(part.guessed.size(), part.right);
        memory_.end_guess(sequence, part.right == part.guessed.size());
    }
}

void Scheduler::sample_with(const Part & part, int index) {
    try {
        float * logits = decoder_.logits(index);
        if (logits == nullptr || std::isnan(logits[0])) {
            forget_all();
            throw Error("DECODE_FAILED", "The model computed no numbers (NaN). Its file may be damaged: download it "
                                         "again, or try `flashAttention: 'off'` and `cacheType: 'f32'`.");
        }
        part.run->generation->sample(logits, n_vocab_);
    } catch (const Error & error) {
        part.run->generation->fail(error);
    } catch (const std::bad_alloc &) {
        part.run->generation->fail(Error("OUT_OF_MEMORY", "There was not enough memory for this request."));
    }
}

// ---- pictures --------------------------------------------------------------------------------------------------------

// Computes rows of one picture. False: no prompt has come to a picture whose rows are there.
bool Scheduler::compute_picture() {
    const auto waiting = prompts();
    for (Running * run : waiting) {
        run->generation->encode_ahead(roster_.computed(*run), run->urgency);
    }
    for (Running * run : waiting) {
        const size_t item = roster_.computed(*run);
        if (run->generation->items()[item].token >= 0) {
            continue;
        }
        try {
            if (const auto * rows = run->generation->rows(item)) {
                run->served = turns_;
                compute_rows(*run, *rows);
                return true;
            }
        } catch (const Error & error) {
            run->generation->fail(error);
            return true;
        }
    }
    return false;
}

void Scheduler::compute_rows(Running & run, const std::vector<float> & rows) {
    const size_t index = roster_.computed(run);
    const SequenceItem & item = run.generation->items()[index];
    const bool generating =
        std::any_of(roster_.running().begin(), roster_.running().end(), [&](const auto & r) { return generates(*r); });
    const int most = params_.deterministic ? params_.batch_size : budget_.tokens(generating, 0);
    const size_t begin = run.rows_done;
    const size_t end = std::min(begin + static_cast<size_t>(most), static_cast<size_t>(item.cells));
    const std::vector<Part> parts{{&run, index, index + 1}};
    const Baton::Turn turn(baton_, Baton::kDecoder);
    const auto start = Clock::now();
    decoder_.use_adapters(run.generation->adapters());
    const Decoder::Outcome outcome =
        decoder_.decode_rows(run.generation->image(item), rows, begin, end, run.sequence, unwanted(parts));
    decoder_.synchronize();
    const double ms = milliseconds_since(start);
    if (outcome == Decoder::Outcome::NoRoom) {
        roster_.make_room();
        return;
    }
    if (outcome != Decoder::Outcome::Done) {
        memory_.drop_from(run.sequence, item.position);
        run.rows_done = 0;
        if (outcome == Decoder::Outcome::Failed) {
            run.generation->fail(decoder_.failure());
        }
        return;
    }
    budget_.measured(static_cast<int>(end - begin), ms);
    run.generation->count_prefill(ms);
    run.rows_done = end;
    memory_.begin_picture(run.sequence, item.position);
    if (end == static_cast<size_t>(item.cells)) {
        run.rows_done = 0;
        memory_.append(run.sequence, item);
        memory_.end_batch(run.sequence);
        run.generation->reached(index + 1, false);
        run.generation->rows_used(index);
        guesses_.learn_picture(run, index, static_cast<int>(end - begin) - 1);
        keep_prompt(run);
    }
}

// Behind its last picture.
void Scheduler::keep_prompt(const Running & run) {
    const auto & items = run.generation->items();
    const size_t end = roster_.computed(run);
    if (prompts_ == nullptr || PromptCache::last_picture(items, run.generation->prompt_size()) != end ||
        !run.generation->may_be_on_disk()) {
        return;
    }
    if (auto stored = memory_.store({items.begin(), items.begin() + static_cast<std::ptrdiff_t>(end)})) {
        prompts_->keep(std::move(*stored));
    }
}

// ---- what both need --------------------------------------------------------------------------------------------------

// Who runs computes anew.
void Scheduler::forget_all() {
    memory_.clear();
    for (const auto & run : roster_.running()) {
        run->rows_done = 0;
    }
}

std::function<bool()> Scheduler::unwanted(const std::vector<Part> & parts) const {
    return [this, &parts] {
        return stopping_() || std::all_of(parts.begin(), parts.end(), [](const Part & part) {
                   return part.run->generation->request().cancelled.load();
               });
    };
}

}  // namespace qvl
