#include "tools/test_job.h"

#include "base/check.h"
#include "job/job_plan.h"
#include "job/job_state.h"

namespace evenkeel::tools {

v1::JobSpec TestSpec(const std::vector<std::string>& layers, const std::string& preset) {
  v1::JobSpec spec;
  spec.set_name("pretrain");
  spec.set_contributors(2);
  spec.mutable_balance()->set_preset(preset);
  for (const std::string& name : layers) {
    v1::LayerSpec* layer = spec.add_layers();
    layer->set_name(name);
    layer->set_num_experts(4);
    layer->set_top_k(2);
  }
  return spec;
}

v1::JobState TestState(const v1::JobSpec& spec, const std::vector<std::vector<float>>& biases) {
  const absl::StatusOr<job::JobPlan> plan = job::PlanJob(spec, v1::BalanceConfig(), job::NoLimits());
  EVENKEEL_CHECK(plan.ok());
  job::JobState state = job::InitialJobState(*plan);
  EVENKEEL_CHECK(state.layers.size() == biases.size());
  state.version.set_epoch(3);
  state.version.set_step(40);
  state.position = 38;
  for (size_t i = 0; i < biases.size(); ++i) {
    balance::LayerState& layer = state.layers[i].balance;
    layer.bias = biases[i];
    for (size_t e = 0; e < layer.ema.size(); ++e) layer.ema[e] = static_cast<float>(e) / 16;
    layer.counts.assign(layer.counts.size(), 5);
    layer.tokens = 10;
    layer.last_commit = 40;
  }
  return job::ToProto(*plan, state);
}

}  // namespace evenkeel::tools
