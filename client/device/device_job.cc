#include "client/device/device_job.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/status_macros.h"
#include "client/polling.h"
#include "kernels/balance/layer_rule.h"
#include "kernels/balance/rate_table.h"

namespace evenkeel::client {
namespace {

balance::Mode ModeOf(const v1::JobSpec& spec) {
  if (spec.mode() == v1::JobSpec::Mode::FROZEN) return balance::Mode::kFrozen;
  if (spec.mode() == v1::JobSpec::Mode::OBSERVE) return balance::Mode::kObserve;
  return balance::Mode::kBalance;
}

}  // namespace

template <typename T>
absl::StatusOr<DeviceBuffer<T>> DeviceJob::Upload(const std::vector<T>& values) {
  EVENKEEL_ASSIGN_OR_RETURN(DeviceBuffer<T> device, DeviceBuffer<T>::OnDevice(runtime_, values.size()));
  EVENKEEL_ASSIGN_OR_RETURN(DeviceBuffer<char> host, DeviceBuffer<char>::Pinned(runtime_, device.bytes()));
  std::memcpy(host.data(), values.data(), device.bytes());
  EVENKEEL_RETURN_IF_ERROR(runtime_->Copy(device.data(), host.data(), device.bytes(), upload_.get()));
  staging_.push_back(std::move(host));
  return device;
}

absl::Status DeviceJob::Finish() {
  EVENKEEL_ASSIGN_OR_RETURN(const OwnedEvent done, OwnedEvent::Create(runtime_));
  EVENKEEL_RETURN_IF_ERROR(runtime_->Record(done.get(), upload_.get()));
  for (Polling polling;; polling.Pause()) {
    EVENKEEL_ASSIGN_OR_RETURN(const bool happened, runtime_->Happened(done.get()));
    if (happened) break;
  }
  staging_.clear();
  upload_ = OwnedStream();
  return absl::OkStatus();
}

absl::Status DeviceJob::MakeRules(const job::JobPlan& plan) {
  std::vector<balance::FlatLayer> layers;
  for (int i = 0; i < plan.layers.size(); ++i) {
    const job::LayerTable::Row& layer = plan.layers[i];
    balance::LayerRule rule = balance::MakeLayerRule(plan.balance[i], layer.num_experts);
    if (!plan.balance[i].target.empty()) {
      EVENKEEL_ASSIGN_OR_RETURN(DeviceBuffer<float> target, Upload(plan.balance[i].target));
      rule.target = target.data();
      constants_.push_back(std::move(target));
    }
    layers.push_back({layer.offset, rule});
  }
  EVENKEEL_ASSIGN_OR_RETURN(layers_, Upload(layers));
  return absl::OkStatus();
}

absl::Status DeviceJob::MakeTables(const job::JobPlan& plan) {
  std::vector<balance::RateTable> tables;
  // Configs with the same rates, which most jobs' layers have, share a table.
  std::vector<std::vector<float>> known;
  std::vector<balance::RateTable> known_tables;
  for (const balance::BalanceConfig& config : plan.balance) {
    EVENKEEL_ASSIGN_OR_RETURN(std::vector<float> rates, balance::RateTableOf(config));
    const auto same = std::find(known.begin(), known.end(), rates);
    if (same != known.end()) {
      tables.push_back(known_tables[same - known.begin()]);
      continue;
    }
    EVENKEEL_ASSIGN_OR_RETURN(DeviceBuffer<float> table, Upload(rates));
    tables.push_back({table.data(), rates.size()});
    constants_.push_back(std::move(table));
    known.push_back(std::move(rates));
    known_tables.push_back(tables.back());
  }
  EVENKEEL_ASSIGN_OR_RETURN(tables_, Upload(tables));
  return absl::OkStatus();
}

absl::Status DeviceJob::MakeState(const job::JobPlan& plan, absl::Span<const float> bias) {
  const int experts = plan.layers.total_experts();
  const int layers = plan.layers.size();
  EVENKEEL_ASSIGN_OR_RETURN(place_, DeviceBuffer<balance::FlatPlace>::OnDevice(runtime_, 1));
  EVENKEEL_ASSIGN_OR_RETURN(step_, DeviceBuffer<balance::FlatStep>::OnDevice(runtime_, 1));
  EVENKEEL_ASSIGN_OR_RETURN(rates_, DeviceBuffer<float>::OnDevice(runtime_, layers));
  std::vector<float> first(bias.begin(), bias.end());
  first.resize(experts);
  EVENKEEL_ASSIGN_OR_RETURN(bias_, Upload(first));
  EVENKEEL_ASSIGN_OR_RETURN(ema_, DeviceBuffer<float>::OnDevice(runtime_, experts));
  EVENKEEL_ASSIGN_OR_RETURN(pending_, DeviceBuffer<uint64_t>::OnDevice(runtime_, experts));
  EVENKEEL_ASSIGN_OR_RETURN(scalars_, Upload(std::vector<balance::LayerScalars>(layers)));
  EVENKEEL_ASSIGN_OR_RETURN(refused_, DeviceBuffer<uint32_t>::OnDevice(runtime_, layers));
  return absl::OkStatus();
}

absl::StatusOr<DeviceJob> DeviceJob::Make(const job::JobPlan& plan, DeviceRuntime* runtime,
                                          absl::Span<const float> bias) {
  DeviceJob job(runtime);
  EVENKEEL_ASSIGN_OR_RETURN(job.upload_, OwnedStream::Create(runtime));
  EVENKEEL_RETURN_IF_ERROR(job.MakeRules(plan));
  EVENKEEL_RETURN_IF_ERROR(job.MakeTables(plan));
  EVENKEEL_RETURN_IF_ERROR(job.MakeState(plan, bias));
  EVENKEEL_RETURN_IF_ERROR(job.Finish());

  balance::NextStep& next = job.next_;
  next.apply_skipped = plan.effective.skip_policy() == v1::JobSpec::SkipPolicy::APPLY;
  next.mode = ModeOf(plan.effective);
  next.num_layers = plan.layers.size();
  next.tables = job.tables_.data();
  next.place = job.place_.data();
  next.step = job.step_.data();
  next.rates = job.rates_.data();

  balance::FlatUpdate& update = job.update_;
  update.num_layers = plan.layers.size();
  update.layers = job.layers_.data();
  update.step = job.step_.data();
  update.rates = job.rates_.data();
  update.bias = job.bias_.data();
  update.ema = job.ema_.data();
  update.pending = job.pending_.data();
  update.scalars = job.scalars_.data();
  update.refused = job.refused_.data();
  return job;
}

absl::Status DeviceJob::EnqueueCommit(const uint64_t* counts, const uint64_t* tokens, int64_t tokens_stride,
                                      const uint64_t* skips, const uint64_t* replays, DeviceStream stream) {
  next_.skips = skips;
  next_.replays = replays;
  update_.counts = counts;
  update_.tokens = tokens;
  update_.tokens_stride = tokens_stride;
  EVENKEEL_RETURN_IF_ERROR(runtime_->NextStep(next_, stream));
  return runtime_->Update(update_, stream);
}

}  // namespace evenkeel::client
