#include "client/worker/messages.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/worker/process.h"
#include "config/text.h"
#include "job/snapshot.h"
#include "kernels/routing/cpu/cpu_router.h"

namespace evenkeel::client {
namespace {

constexpr uint32_t kProtocolVersion = 1;
// What is under way, what a lag of 1 still needs, and what comes next.
constexpr int kMinLogSteps = 4;

absl::Status CheckOptions(const WorkerOptions& options) {
  if (options.job.empty()) return absl::InvalidArgumentError("job is empty; it must name the training run");
  if (options.next_step == 0) return absl::InvalidArgumentError("next_step is 0; steps count from 1");
  if (options.lag != 0 && options.lag != 1) {
    return absl::InvalidArgumentError(absl::StrCat("lag is ", options.lag, "; 0 and 1 are allowed"));
  }
  if (options.loss.log_steps < kMinLogSteps) {
    return absl::InvalidArgumentError(
        absl::StrCat("loss.log_steps is ", options.loss.log_steps, "; it must be at least ", kMinLogSteps));
  }
  return absl::OkStatus();
}

// What the job is to go on from.
absl::Status SetResume(const WorkerOptions& options, v1::JoinRequest* request) {
  const bool has_coordinator = !options.coordinator.empty();
  if (options.resume == Resume::kCatchUp && !has_coordinator) {
    return absl::InvalidArgumentError("resume is CATCH_UP, which needs a coordinator that is ahead; name one");
  }
  if (!options.state.empty() && options.resume != Resume::kRewind && has_coordinator) {
    return absl::InvalidArgumentError("state is given, and resume is not REWIND; a job goes on from it only then");
  }
  request->set_rewind(options.resume == Resume::kRewind);
  request->set_catch_up(options.resume == Resume::kCatchUp);
  if (options.state.empty()) return absl::OkStatus();
  absl::StatusOr<v1::Snapshot> snapshot = job::ParseSnapshot(options.state);
  if (!snapshot.ok()) return absl::InvalidArgumentError(absl::StrCat("state: ", snapshot.status().message()));
  const uint64_t step = job::OpenSnapshot(*snapshot)->state.version().step();
  if (step + 1 != options.next_step) {
    return absl::InvalidArgumentError(absl::StrCat("state is that after step ", step, "; next_step is ",
                                                   options.next_step, ", and must be ", step + 1));
  }
  *request->mutable_snapshot() = *std::move(snapshot);
  return absl::OkStatus();
}

void DescribeDevice(const DeviceInfo& device, v1::WorkerInfo* worker) {
  worker->set_device(device.name);
  worker->set_compute_capability(device.compute_capability);
  worker->set_device_memory(device.memory);
  worker->set_driver_version(device.driver_version);
  worker->set_cuda_version(device.cuda_version);
}

std::string RoutePath(const LayerTable::Layer& layer, const DeviceRuntime* runtime) {
  if (!layer.route.has_value()) return "";
  return runtime != nullptr ? "CUDA" : std::string(routing::CpuRoutePath(*layer.route));
}

v1::JobSpec::Mode::Kind ModeOf(JobMode mode) {
  switch (mode) {
    case JobMode::kFrozen:
      return v1::JobSpec::Mode::FROZEN;
    case JobMode::kObserve:
      return v1::JobSpec::Mode::OBSERVE;
    default:
      return v1::JobSpec::Mode::BALANCE;
  }
}

v1::JobSpec::MissingPolicy::Kind MissingPolicyOf(OnMissing on_missing) {
  switch (on_missing) {
    case OnMissing::kFail:
      return v1::JobSpec::MissingPolicy::FAIL;
    case OnMissing::kCommitWithout:
      return v1::JobSpec::MissingPolicy::COMMIT_WITHOUT;
    default:
      return v1::JobSpec::MissingPolicy::WAIT;
  }
}

// What a job is asked to be, its layers apart.
absl::Status DescribeJob(const WorkerOptions& options, const Group& group, v1::JobSpec* job) {
  job->set_name(options.job);
  job->set_contributors(group.count);
  job->set_world_size(options.world_size);
  job->set_lag(options.lag);
  job->set_mode(ModeOf(options.mode));
  job->set_skip_policy(options.on_skip == OnSkip::kApply ? v1::JobSpec::SkipPolicy::APPLY
                                                         : v1::JobSpec::SkipPolicy::DROP);
  job->set_invariant_policy(options.on_violation == OnViolation::kHalt ? v1::JobSpec::InvariantPolicy::HALT
                                                                       : v1::JobSpec::InvariantPolicy::REPORT);
  job->set_tokens_per_step(options.tokens_per_step);
  job->set_missing_policy(MissingPolicyOf(options.on_missing));
  if (!options.membership.empty()) {
    EVENKEEL_RETURN_IF_ERROR(config::ParseText(options.membership, "membership", job->mutable_membership()));
  }
  if (options.balance.empty()) return absl::OkStatus();
  return config::ParseText(options.balance, "balance", job->mutable_balance());
}

absl::Status AddLayer(const LayerOptions& options, const LayerTable::Layer& layer, const v1::LayerSpec& spec,
                      v1::JobSpec* job) {
  *job->add_layers() = spec;
  if (job->mode() == v1::JobSpec::Mode::OBSERVE && !options.initial_bias.empty()) {
    return AtLayer(layer,
                   absl::InvalidArgumentError("initial_bias is given; a job with JobMode::kObserve has no bias"));
  }
  if (options.balance.empty()) return absl::OkStatus();
  v1::LayerOverride* const override = job->add_overrides();
  override->set_layer(layer.name);
  return config::ParseText(options.balance, absl::StrCat(Quoted(layer), ": balance"), override->mutable_balance());
}

}  // namespace

absl::StatusOr<v1::JoinRequest> MakeJoinRequest(const WorkerOptions& options, const Group& group,
                                                const LayerTable& layers, uint64_t incarnation,
                                                const DeviceRuntime* runtime) {
  EVENKEEL_RETURN_IF_ERROR(CheckOptions(options));
  v1::JoinRequest request;
  request.set_protocol_version(kProtocolVersion);
  EVENKEEL_RETURN_IF_ERROR(DescribeJob(options, group, request.mutable_job()));
  request.set_contributor(group.index);
  if (group.size() > 1) request.mutable_ranks()->Add(group.ranks.begin(), group.ranks.end());
  request.set_incarnation(incarnation);
  *request.mutable_worker() = DescribeProcess();
  EVENKEEL_RETURN_IF_ERROR(SetResume(options, &request));
  if (runtime != nullptr) DescribeDevice(runtime->info(), request.mutable_worker());
  for (int i = 0; i < layers.size(); ++i) {
    const int index = layers.protocol_order()[i];
    EVENKEEL_RETURN_IF_ERROR(AddLayer(options.layers[index], layers[index], layers.specs()[i], request.mutable_job()));
  }
  *request.mutable_initial_bias() = {layers.initial_bias().begin(), layers.initial_bias().end()};
  // One contributor that is the whole world owns what its ranks own together.
  if (layers.num_owned() < layers.size() && group.count > 1) {
    for (const int index : layers.protocol_order()) {
      if (layers[index].owned) request.add_owned_layers(layers[index].name);
    }
  }
  for (const int index : layers.protocol_order()) {
    request.mutable_worker()->add_routing_paths(RoutePath(layers[index], runtime));
  }
  return request;
}

}  // namespace evenkeel::client
