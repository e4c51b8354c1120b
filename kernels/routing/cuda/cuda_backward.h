#pragma once

#include "absl/status/status.h"
#include "kernels/routing/route_backward.h"

struct CUstream_st;  // what a cudaStream_t points to

namespace evenkeel::routing {

// The contract of route_backward.h on a GPU, in one kernel: the bits of RouteBackwardReference. Every pointer of input
// and output is memory that the current device reads and writes.
//
// Puts one kernel on the stream and returns: it reads nothing back, allocates nothing and waits for nothing, so it can
// be captured in a CUDA graph.
//
// Errors: INVALID_ARGUMENT, as ValidateRouteBackward; UNIMPLEMENTED for more than 1,024 experts or 32 slots, naming the
// field; INTERNAL with CUDA's reason when the kernel cannot be launched. Then nothing has been written. A fault of the
// kernel itself is reported by the stream.
//
// Thread safety: calls may run at the same time, on any streams.
absl::Status RouteBackwardCuda(const RouteSpec& spec, const RouteBackwardInput& input,
                               const RouteBackwardOutput& output, CUstream_st* stream);

}  // namespace evenkeel::routing
