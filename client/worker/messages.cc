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
  if (options.coordinator.empty()) return absl::InvalidArgumentError("coordinator is empty; it must be host:port");
  if (options.job.empty()) return absl::InvalidArgumentError("job is empty; it must name the training run");
  if (options.contributors < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("contributors is ", options.contributors, "; it must be at least 1"));
  }
  if (options.contributor < 0 || options.contributor >= options.contributors) {
    return absl::InvalidArgumentError(
        absl::StrCat("contributor is ", options.contributor, "; 0 to ", options.contributors - 1, " are allowed"));
  }
  if (options.next_step == 0) return absl::InvalidArgumentError("next_step is 0; steps count from 1");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::JoinRequest> MakeJoinRequest(const WorkerOptions& options, const LayerTable& layers,
                                                uint64_t incarnation) {
  EVENKEEL_RETURN_IF_ERROR(CheckOptions(options));
  v1::JoinRequest request;
  request.set_protocol_version(kProtocolVersion);
  v1::JobSpec* job = request.mutable_job();
  job->set_name(options.job);
  job->set_contributors(options.contributors);
  if (!options.balance.empty()) {
    EVENKEEL_RETURN_IF_ERROR(config::ParseText(options.balance, "balance", job->mutable_balance()));
  }
  request.set_contributor(options.contributor);
  request.set_incarnation(incarnation);
  *request.mutable_worker() = DescribeProcess();
  for (const v1::LayerSpec& spec : layers.specs()) *job->add_layers() = spec;
  for (const int index : layers.protocol_order()) {
    const absl::string_view path = layers[index].route.has_value() ? routing::CpuRoutePath(*layers[index].route) : "";
    request.mutable_worker()->add_routing_paths(std::string(path));
  }
  return request;
}

v1::PushRequest MakePushRequest(const v1::JoinRequest& join) {
  v1::PushRequest push;
  push.set_job(join.job().name());
  push.set_contributor(join.contributor());
  push.set_incarnation(join.incarnation());
  return push;
}

void FillCounts(const LayerTable& layers, const std::vector<LayerCounts>& counts, v1::PushRequest* push) {
  push->mutable_valid_tokens()->Clear();
  push->mutable_short_slots()->Clear();
  google::protobuf::RepeatedField<uint32_t>* low = push->mutable_routed()->mutable_low();
  google::protobuf::RepeatedField<uint32_t>* high = push->mutable_routed()->mutable_high();
  low->Resize(layers.total_experts(), 0);
  high->Resize(layers.total_experts(), 0);
  uint32_t any_high = 0;
  uint64_t any_short = 0;
  for (const int index : layers.protocol_order()) {
    const LayerCounts& layer = counts[index];
    push->add_valid_tokens(layer.tokens());
    push->add_short_slots(layer.short_slots());
    any_short |= layer.short_slots();
    int next = layers[index].offset;
    for (const uint64_t count : layer.counts()) {
      low->Set(next, static_cast<uint32_t>(count));
      high->Set(next, static_cast<uint32_t>(count >> 32));
      any_high |= high->Get(next);
      ++next;
    }
  }
  if (any_high == 0) high->Clear();
  if (any_short == 0) push->mutable_short_slots()->Clear();
}

}  // namespace evenkeel::client
