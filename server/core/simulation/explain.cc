#include "server/core/simulation/explain.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/core/simulation/shrink.h"

namespace evenkeel::core::simulation {
namespace {

constexpr size_t kEventsShown = 200;

}  // namespace

std::string Explain(const Report& failed, const MakeParts& make_parts) {
  const Report small = RunHistory(Shrink(failed, make_parts).recipe, make_parts, /*keep_events=*/true);
  const size_t left_out = small.events.size() - std::min(small.events.size(), kEventsShown);
  return absl::StrCat(
      "history ", ToString(failed.recipe), ": ", failed.complaint, "\n", failed.faults.size(),
      " faults struck; as much is wrong with ", small.faults.size(), ": ", small.complaint,
      "\nrun it alone: bazel test //server/core/simulation:simulation_test --test_env=EVENKEEL_HISTORY='",
      ToString(small.recipe), "'\n", left_out > 0 ? absl::StrCat("... ", left_out, " events\n") : "",
      absl::StrJoin(small.events.begin() + left_out, small.events.end(), "\n"));
}

}  // namespace evenkeel::core::simulation
