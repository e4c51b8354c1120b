#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/routing/route.h"

struct CUstream_st;  // what a cudaStream_t points to

namespace evenkeel::benchmarks {

// What ours is measured against: routing as the field's kernels do it. A top-k kernel, in which a warp takes a row,
// scores it by the fast approximations of the exponential and of division, and takes the best expert K times over; then
// a bincount kernel, which reads the ids back and adds to int32 counts. Its ids are those of route.h but where the
// approximation makes a tie or moves one expert past another; its weights are off by some 1e-6 of themselves. NaN,
// infinity and masks are not provided for.
//
// Of input and output only logits (float32 or bfloat16), bias, ids (int32) and weights (float32) are used, all on the
// device, rows without gaps, none of them null. Experts are 64, 128, 256, 384 or 512, slots at most 32; scores are
// sigmoids that are normalised, in no groups or in 8 by their two best, or logits weighted by their softmax.
// UNIMPLEMENTED for other specs; INTERNAL with CUDA's reason when a kernel could not be launched. Thread-safe.
absl::Status EnqueueTwoKernelRouter(const routing::RouteSpec& spec, const routing::RouteInput& input,
                                    const routing::RouteOutput& output, int32_t* counts, CUstream_st* stream);

}  // namespace evenkeel::benchmarks
