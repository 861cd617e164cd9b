// The only include of napi.h: every define that changes its behaviour stands here.
#pragma once

// Any std::exception in a callback becomes a JavaScript error instead of ending the process.
#define NODE_ADDON_API_CPP_EXCEPTIONS
#define NODE_ADDON_API_CPP_EXCEPTIONS_ALL
// Throwing into a terminating worker fails: that is no reason to abort.
#define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS
#define NODE_ADDON_API_DISABLE_DEPRECATED
// Electron refuses external buffers: everything is copied.
#define NODE_API_NO_EXTERNAL_BUFFERS_ALLOWED
#define NODE_ADDON_API_REQUIRE_BASIC_FINALIZERS

#include <napi.h>
