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

struct WatchedCounter : emulated::AssignmentCounter {
  int64_t* exact_rows;
  void CountExactly() { ++*exact_rows; }
};

template <int R>
void RouteBlock(const RoutePlan& plan, int block, RouteStats* stats, int64_t* exact_rows) {
  constexpr int kStep = kBlocks * kWarps;
  const RowBytes step_bytes = Times(kStep, plan.row_bytes);
  emulated::warp::SharedWords counts(plan.spec.num_experts);
  for (int warp = 0; warp < kWarps; ++warp) {
    emulated::warp::SharedWords scratch(emulated::kScratchWords<R>);
    WatchedCounter counter = {{{&counts, 0}, 0, 0}, exact_rows};
    emulated::RouteRows<R>(plan, block * kWarps + warp, kStep, step_bytes, emulated::WarpScratch<R>{{&scratch, 0}},
                           counter);
    emulated::warp::SyncStores();
    if (stats == nullptr) continue;
    stats->valid_rows += counter.valid_rows;
    stats->short_slots += counter.short_slots;
  }
  if (!plan.counts) return;
  for (int e = 0; e < plan.spec.num_experts; ++e) plan.output.counts[e] += counts.value(e);
}

template <int R>
void RouteBlocks(const RoutePlan& plan, RouteStats* stats, int64_t* exact_rows) {
  for (int block = 0; block < kBlocks; ++block) RouteBlock<R>(plan, block, stats, exact_rows);
}

}  // namespace

absl::Status RouteEmulated(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output,
                           RouteStats* stats) {
  int64_t exact_rows = 0;
  return RouteEmulatedAndCount(spec, input, output, stats, &exact_rows);
}

absl::Status RouteEmulatedAndCount(const RouteSpec& spec, const RouteInput& input, const RouteOutput& output,
                                   RouteStats* stats, int64_t* exact_rows) {
  absl::Status valid = ValidateRoute(spec, input, output);
  if (!valid.ok()) return valid;
  if (!FitsWarp(spec)) return RouteReference(spec, input, output, stats);
  RoutePlan plan = MakeRoutePlan(spec, input, output);
  plan = Settled(PathOf(plan), WarpRegisters(spec.num_experts), plan);
  switch (WarpRegisters(spec.num_experts)) {
    case 4:
      RouteBlocks<4>(plan, stats, exact_rows);
      break;
    case 8:
      RouteBlocks<8>(plan, stats, exact_rows);
      break;
    case 12:
      RouteBlocks<12>(plan, stats, exact_rows);
      break;
    case 16:
      RouteBlocks<16>(plan, stats, exact_rows);
      break;
    default:
      RouteBlocks<32>(plan, stats, exact_rows);
      break;
  }
  return absl::OkStatus();
}

}  // namespace evenkeel::routing
