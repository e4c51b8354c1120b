#pragma once

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "client/device/test_memory.h"
#include "kernels/balance/cuda/flat_update.h"
#include "kernels/balance/cuda/next_step.h"
#include "kernels/counting/count.h"
#include "kernels/routing/route.h"
#include "kernels/routing/route_backward.h"

// The kernels of a device that is the host. Each answers what the device's would, aborts where an address is not of
// `map`'s device memory, and else gives what is to run later: null where that is nothing.
namespace evenkeel::client {

using Kernel = std::function<void()>;
using Map = std::shared_ptr<const MemoryMap>;

absl::StatusOr<Kernel> RouteKernel(const Map& map, const routing::RouteSpec& spec, const routing::RouteInput& input,
                                   const routing::RouteOutput& output, routing::RouteStats* stats);
absl::StatusOr<Kernel> RouteBackwardKernel(const Map& map, const routing::RouteSpec& spec,
                                           const routing::RouteBackwardInput& input,
                                           const routing::RouteBackwardOutput& output);
absl::StatusOr<Kernel> CountIdsKernel(const Map& map, const counting::IdsInput& input,
                                      const counting::CountOutput& output);
absl::StatusOr<Kernel> AddCountsKernel(const Map& map, const counting::CountsInput& input,
                                       const counting::CountOutput& output);
absl::StatusOr<Kernel> ChecksumKernel(const Map& map, const void* words, int64_t num_words, uint64_t start,
                                      uint64_t* sum);
absl::StatusOr<Kernel> NextStepKernel(const Map& map, const balance::NextStep& next);
absl::StatusOr<Kernel> UpdateKernel(const Map& map, const balance::FlatUpdate& update);

}  // namespace evenkeel::client
