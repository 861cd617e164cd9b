#include "text_output.h"

#include <algorithm>

namespace qvl {

namespace {

constexpr const char * kReplacement = "\xEF\xBF\xBD";

// Length of the sequence that starts with `lead`, 0 for a byte that cannot start one.
size_t sequence_length(unsigned char lead) {
    if (lead < 0x80) {
        return 1;
    }
    if (lead >= 0xC2 && lead <= 0xDF) {
        return 2;
    }
    if (lead >= 0xE0 && lead <= 0xEF) {
        return 3;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        return 4;
    }
    return 0;
}

bool valid_second(unsigned char lead, unsigned char second) {
    switch (lead) {
        case 0xE0:
            return second >= 0xA0 && second <= 0xBF;
        case 0xED:
            return second >= 0x80 && second <= 0x9F;
        case 0xF0:
            return second >= 0x90 && second <= 0xBF;
        case 0xF4:
            return second >= 0x80 && second <= 0x8F;
        default:
            return (second & 0xC0) == 0x80;
    }
}

// Valid UTF-8 of `bytes`: a maximal ill-formed part becomes one U+FFFD (as the WHATWG decoder does). `rest` gets an
// unfinished sequence at the end.
std::string whole_sequences(const std::string & bytes, std::string & rest) {
    std::string text;
    rest.clear();
    size_t i = 0;
    while (i < bytes.size()) {
        const auto lead = static_cast<unsigned char>(bytes[i]);
        const size_t length = sequence_length(lead);
        size_t good = 1;
        while (good < length && i + good < bytes.size()) {
            const auto next = static_cast<unsigned char>(bytes[i + good]);
            if (good == 1 ? !valid_second(lead, next) : (next & 0xC0) != 0x80) {
                break;
            }
            good++;
        }
        if (length != 0 && good < length && i + good == bytes.size()) {
            rest = bytes.substr(i);
            return text;
        }
        if (good == length) {
            text.append(bytes, i, good);
        } else {
            text += kReplacement;
        }
        i += good;
    }
    return text;
}

// Bytes at the end of `text` that could be the beginning of `stop`.
size_t partial_match(const std::string & text, const std::string & stop) {
    for (size_t n = std::min(text.size(), stop.size() - 1); n > 0; n--) {
        if (text.compare(text.size() - n, n, stop, 0, n) == 0) {
            return n;
        }
    }
    return 0;
}

}  // namespace

std::string TextOutput::push(const std::string & piece) {
    if (stopped_) {
        return {};
    }
    held_ += piece;
    size_t hit = std::string::npos;
    size_t hold = 0;
    for (const auto & stop : stop_) {
        hit = std::min(hit, held_.find(stop));
        hold = std::max(hold, partial_match(held_, stop));
    }
    std::string rest;
    if (hit != std::string::npos) {
        stopped_ = true;
        std::string text = whole_sequences(held_.substr(0, hit), rest);
        held_.clear();
        return rest.empty() ? text : text + kReplacement;
    }
    const std::string kept = held_.substr(held_.size() - hold);
    const std::string text = whole_sequences(held_.substr(0, held_.size() - hold), rest);
    held_ = rest + kept;
    return text;
}

std::string TextOutput::finish(bool cut) {
    std::string rest;
    std::string text = whole_sequences(held_, rest);
    held_.clear();
    return rest.empty() || cut ? text : text + kReplacement;
}

}  // namespace qvl
