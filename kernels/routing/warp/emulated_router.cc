#include "kernels/routing/warp/emulated_router.h"

#include <cstdint>

#include "kernels/routing/forced_balance.h"
#include "kernels/routing/reference/reference_router.h"
#include "kernels/routing/warp/emulated_lanes.h"
#include "kernels/routing/warp/route_plan.h"

namespace evenkeel::routing {
namespace emulated {
#include "kernels/routing/warp/row-inl.h"
}  // namespace emulated

namespace {

constexpr int kBlocks = 2;
constexpr int kWarps = 2;  // in a block

template <int R>
void RouteBlock(const RoutePlan& plan, int block, RouteStats* stats) {
  emulated::warp::SharedWords counts(plan.spec.num_experts);
  const bool counted = plan.output.counts != nullptr;
  for (int warp = 0; warp < kWarps; ++warp) {
    emulated::warp::SharedWords scratch(emulated::kScratchWords<R>);
    emulated::AssignmentCounter counter = {counted, {&counts, 0}, 0, 0};
    emulated::RouteRows<R>(plan, block * kWarps + warp, kBlocks * kWarps, emulated::WarpScratch<R>{{&scratch, 0}},
                           counter);
    if (stats == nullptr) continue;
    stats->valid_rows += counter.valid_rows;
    stats->short_slots += counter.short_slots;
  }
  if (!counted) return;
  for (int e = 0; e < plan.spec.num_experts; ++e) plan.output.counts[e] += counts.value(e);
}

template <int R>
void RouteBlocks(const RoutePlan& plan, RouteStats* stats) {
  for (int block = 0; block < kBlocks; ++block) RouteBlock<R>(plan, block, stats);
}

}  // namespace

absl::Status RouteEmulated(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output,
                           RouteStats* stats) {
  absl::Status valid = ValidateRoute(spec, input, output);
  if (!valid.ok()) return valid;
  if (!FitsWarp(spec)) return RouteReference(spec, input, output, stats);
  const RoutePlan plan = MakeRoutePlan(spec, input, output);
  switch (WarpRegisters(spec.num_experts)) {
    case 4:
      RouteBlocks<4>(plan, stats);
      break;
    case 8:
      RouteBlocks<8>(plan, stats);
      break;
    case 12:
      RouteBlocks<12>(plan, stats);
      break;
    case 16:
      RouteBlocks<16>(plan, stats);
      break;
    default:
      RouteBlocks<32>(plan, stats);
      break;
  }
  return absl::OkStatus();
}

}  // namespace evenkeel::routing
