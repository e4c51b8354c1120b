#include "server/dashboard/load_json.h"

#include <cstdint>
#include <numeric>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/json_text.h"
#include "job/job_plan.h"

namespace evenkeel::dashboard {
namespace {

// The count that makes a load of 1: one number where it is the same for all experts, else one for each, null for those
// that have none.
std::string WantedJson(const v1::LayerState& layer, const std::vector<float>& target) {
  const auto& counts = layer.last_counts();
  const double sum = static_cast<double>(std::accumulate(counts.begin(), counts.end(), uint64_t{0}));
  if (target.empty()) return JsonNumber(sum / counts.size());
  return JsonList(target, [sum](float share) { return share > 0 ? JsonNumber(share * sum) : "null"; });
}

std::string LayerJson(const v1::LayerState& layer, const std::vector<float>& target) {
  const auto append_float = [](std::string* out, float value) { out->append(JsonFloat(value)); };
  return absl::StrCat("{\"name\":", JsonString(layer.layer()), ",\"stream\":", layer.stream(),
                      ",\"tokens\":", layer.last_tokens(), ",\"wanted\":", WantedJson(layer, target), ",\"counts\":[",
                      absl::StrJoin(layer.last_counts(), ","), "],\"bias\":[",
                      absl::StrJoin(layer.bias(), ",", append_float), "]}");
}

}  // namespace

absl::StatusOr<std::string> LoadJson(const v1::JobState& state) {
  const absl::StatusOr<job::JobPlan> plan = job::PlanStoredJob(state.spec(), state.fingerprint());
  if (!plan.ok() || static_cast<int>(plan->balance.size()) != state.layers_size()) {
    return absl::InternalError(absl::StrCat("the state is none of a coordinator's: ", plan.status().message()));
  }
  std::vector<std::string> layers;
  for (int i = 0; i < state.layers_size(); ++i) {
    const auto& target = plan->balance[i].target;
    layers.push_back(LayerJson(state.layers(i), {target.begin(), target.end()}));
  }
  return absl::StrCat("{\"version\":{\"epoch\":\"", state.version().epoch(), "\",\"step\":\"", state.version().step(),
                      "\"},\"layers\":[", absl::StrJoin(layers, ","), "]}");
}

}  // namespace evenkeel::dashboard
