#pragma once

#include "absl/status/status.h"
#include "kernels/routing/route.h"

struct CUstream_st;  // what a cudaStream_t points to

namespace evenkeel::routing {

// The contract of route.h on a GPU, in one kernel: the bits of RouteReference. Every pointer of input, output and
// `stats` (which may be null) is memory that the current device reads and writes; `stats` and counts are added to
// atomically, so that streams may share them.
//
// Puts one kernel on the stream and returns: it reads nothing back, allocates nothing and waits for nothing, so it can
// be captured in a CUDA graph, whose replays route what the same pointers then hold. The seed of random balance is part
// of what is captured.
//
// Errors: INVALID_ARGUMENT, as ValidateRoute; UNIMPLEMENTED for more than 1,024 experts or 32 slots, naming the field;
// INTERNAL with CUDA's reason when the kernel cannot be launched. Then nothing has been written. A fault of the kernel
// itself is reported by the stream.
//
// Thread safety: calls may run at the same time, on any streams.
absl::Status RouteCuda(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output, RouteStats* stats,
                       CUstream_st* stream);

}  // namespace evenkeel::routing
