#include "client/worker/messages.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "client/worker/process.h"
#include "config/text.h"
#include "kernels/routing/cpu/cpu_router.h"

namespace evenkeel::client {
namespace {

constexpr uint32_t kProtocolVersion = 1;

absl::Status CheckOptions(const WorkerOptions& options) {
  if (options.job.empty()) return absl::InvalidArgumentError("job is empty; it must name the training run");
  if (options.next_step == 0) return absl::InvalidArgumentError("next_step is 0; steps count from 1");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::JoinRequest> MakeJoinRequest(const WorkerOptions& options, const Group& group,
                                                const LayerTable& layers, uint64_t incarnation) {
  EVENKEEL_RETURN_IF_ERROR(CheckOptions(options));
  v1::JoinRequest request;
  request.set_protocol_version(kProtocolVersion);
  v1::JobSpec* job = request.mutable_job();
  job->set_name(options.job);
  job->set_contributors(group.count);
  if (!options.balance.empty()) {
    EVENKEEL_RETURN_IF_ERROR(config::ParseText(options.balance, "balance", job->mutable_balance()));
  }
  request.set_contributor(group.index);
  if (group.size() > 1) request.mutable_ranks()->Add(group.ranks.begin(), group.ranks.end());
  request.set_incarnation(incarnation);
  *request.mutable_worker() = DescribeProcess();
  for (const v1::LayerSpec& spec : layers.specs()) *job->add_layers() = spec;
  for (const int index : layers.protocol_order()) {
    const absl::string_view path = layers[index].route.has_value() ? routing::CpuRoutePath(*layers[index].route) : "";
    request.mutable_worker()->add_routing_paths(std::string(path));
  }
  return request;
}

void CopyCounts(const LayerTable& layers, const std::vector<LayerCounts>& counts, StepCounts* step) {
  for (const int index : layers.protocol_order()) {
    const LayerTable::Layer& layer = layers[index];
    std::copy(counts[index].counts().begin(), counts[index].counts().end(), step->mutable_counts() + layer.offset);
    step->mutable_tokens()[layer.place] = counts[index].tokens();
    step->mutable_short_slots()[layer.place] = counts[index].short_slots();
  }
}

}  // namespace evenkeel::client
