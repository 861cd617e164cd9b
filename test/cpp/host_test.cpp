// What llama.cpp, edited, leaves alone in the process of its host.
#include "check.h"

#include "ggml-backend.h"
#include "ggml.h"

#include <cstdlib>
#include <exception>
#include <string>

namespace {

const std::terminate_handler kHosts = std::get_terminate();

}  // namespace

#include "ggml.cpp"  // upstream's, which acts as soon as it is loaded

TEST(the_terminate_handler_stays_the_hosts) {
    CHECK(std::get_terminate() == kHosts);
}

TEST(an_environment_variable_loads_no_library) {
    static std::string log;
    ggml_log_set([](ggml_log_level, const char * text, void *) { log += text; }, nullptr);
#ifdef _WIN32
    _putenv_s("GGML_BACKEND_PATH", "planted.dll");
#else
    setenv("GGML_BACKEND_PATH", "planted.so", 1);
#endif
    ggml_backend_load_all_from_path("no-such-folder");
    CHECK(log.find("planted") == std::string::npos);  // that it could not be loaded
}

int main() {
    return check::run();
}
