#pragma once

#include <cstddef>

#include "absl/status/statusor.h"
#include "evenkeel/evenkeel.h"
#include "evenkeel/options.h"

namespace evenkeel::client {

// The _init functions of the options.
void InitLayerOptions(evenkeel_layer_options* options, size_t struct_size);
void InitWorkerOptions(evenkeel_worker_options* options, size_t struct_size);

// The options that a program of any version gave, with defaults for what it does not know. INVALID_ARGUMENT, naming the
// field and its value, for a null or unset struct, a field that this library does not know, a negative timeout, and a
// number that is none of its enum's.
absl::StatusOr<WorkerOptions> OptionsOf(const evenkeel_worker_options* given);

}  // namespace evenkeel::client
