#include "kernels/routing/cpu/cpu_router.h"

#include "kernels/routing/reference_router.h"

namespace evenkeel::routing {

absl::Status RouteCpu(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output, RouteStats* stats) {
  return RouteReference(spec, input, output, stats);
}

absl::string_view CpuRoutePath(const RouteSpec& spec) { return "reference"; }

}  // namespace evenkeel::routing
