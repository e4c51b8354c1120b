#pragma once

#include <chrono>
#include <memory>

#include "absl/status/statusor.h"
#include "client/device/device_runtime.h"
#include "client/reduce/device_reducer.h"
#include "client/reduce/reducer.h"

namespace evenkeel::client {

// A Reducer for memory of the host out of one for memory of a device: values are copied there, reduced, and copied
// back, on a stream of its own. Each call waits for its end, no longer than `timeout`; after an error the device's
// reducer is aborted.
//
// Whether the others see a rank that has ended or aborted before their time is over, is `inner`'s to say. After an
// error, memory and stream are left as they are: whoever reduces may hold them still. `runtime` outlives the reducer.
// Errors as of CreateStream, CreateEvent.
absl::StatusOr<std::unique_ptr<Reducer>> MakeStagedReducer(std::unique_ptr<DeviceReducer> inner, DeviceRuntime* runtime,
                                                           std::chrono::milliseconds timeout);

}  // namespace evenkeel::client
