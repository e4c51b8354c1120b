#include "kernels/routing/warp/emulated_backward.h"

#include "kernels/routing/reference/reference_backward.h"
#include "kernels/routing/warp/backward_plan.h"
#include "kernels/routing/warp/emulated_lanes.h"
#include "kernels/routing/warp/route_plan.h"

namespace evenkeel::routing {
namespace emulated {
#include "kernels/routing/warp/row_backward-inl.h"
}  // namespace emulated

namespace {

constexpr int kWarps = 4;

template <int R>
void TakeBackRows(const BackwardPlan& plan) {
  for (int warp = 0; warp < kWarps; ++warp) {
    emulated::TakeBackRows<R>(plan, warp, kWarps);
    emulated::warp::SyncStores();
  }
}

}  // namespace

absl::Status RouteBackwardEmulated(const RouteSpec& spec, const RouteBackwardInput& input,
                                   const RouteBackwardOutput& output) {
  absl::Status valid = ValidateRouteBackward(spec, input, output);
  if (!valid.ok()) return valid;
  if (!FitsWarp(spec)) return RouteBackwardReference(spec, input, output);
  const BackwardPlan plan = MakeBackwardPlan(spec, input, output);
  switch (BackwardRegisters(plan)) {
    case 0:
      TakeBackRows<0>(plan);
      break;
    case 4:
      TakeBackRows<4>(plan);
      break;
    case 8:
      TakeBackRows<8>(plan);
      break;
    case 12:
      TakeBackRows<12>(plan);
      break;
    case 16:
      TakeBackRows<16>(plan);
      break;
    default:
      TakeBackRows<32>(plan);
      break;
  }
  return absl::OkStatus();
}

}  // namespace evenkeel::routing
