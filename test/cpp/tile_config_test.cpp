// What the matrix units (AMX) are told of their tiles. Without such units the instruction traps, and a handler looks at what
// it would have read.
#include "check.h"

#if defined(__AMX_INT8__) && defined(__AVX512VNNI__)

#    include "ggml-cpu/amx/mmq.cpp"

#    include <array>
#    include <csignal>
#    include <cstdint>
#    include <cstring>
#    include <ucontext.h>

namespace {

using Config = std::array<uint8_t, 64>;
Config seen{};

// `ldtilecfg disp(base)`, as GCC and Clang write it: five bytes, after them a byte for a base of rsp or r12, then disp.
void on_trap(int, siginfo_t *, void * place) {
    gregset_t & registers = static_cast<ucontext_t *>(place)->uc_mcontext.gregs;
    const auto * code = reinterpret_cast<const uint8_t *>(registers[REG_RIP]);
    const bool is_high = (code[1] & 0x20) == 0;
    if (code[0] != 0xc4 || (code[1] & 0xdf) != 0xc2 || code[2] != 0x78 || code[3] != 0x49 || (code[4] & 0x38) != 0)
        _Exit(2);
    constexpr int kLow[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI};
    constexpr int kHigh[] = {REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    const int base = code[4] & 7;
    const uint8_t * rest = code + 5 + (base == 4);
    int32_t disp = 0;
    switch (code[4] >> 6) {
        case 0:
            if (base == 5)
                _Exit(2);
            break;
        case 1:
            disp = static_cast<int8_t>(*rest++);
            break;
        case 2:
            std::memcpy(&disp, rest, sizeof disp);
            rest += sizeof disp;
            break;
        default:
            _Exit(2);
    }
    std::memcpy(seen.data(), reinterpret_cast<const uint8_t *>(registers[(is_high ? kHigh : kLow)[base]]) + disp, 64);
    registers[REG_RIP] = reinterpret_cast<greg_t>(rest);
}

}  // namespace

TEST(tiles_are_configured_as_written) {
    struct sigaction trap{};
    trap.sa_sigaction = on_trap;
    trap.sa_flags = SA_SIGINFO;
    sigaction(SIGILL, &trap, nullptr);
    ggml_tile_config_init();
    if (seen[0] == 0)  // the processor has the units: it took the configuration, and gives it back
        _tile_storeconfig(seen.data());

    Config expected{1};
    constexpr uint8_t kRows[] = {8, 8, 16, 16, 16, 16, 16, 16}, kBytes[] = {64, 64, 32, 32, 64, 64, 64, 64};
    for (size_t tile = 0; tile < 8; tile++) {
        expected[16 + 2 * tile] = kBytes[tile];
        expected[48 + tile] = kRows[tile];
    }
    CHECK(seen == expected);
}

int main() {
    return __builtin_cpu_supports("avx512vnni") ? check::run() : check::kSkipped;
}

#else

int main() {
    return check::kSkipped;
}

#endif
