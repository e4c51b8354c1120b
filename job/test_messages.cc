#include "job/test_messages.h"

#include <algorithm>

#include "absl/status/statusor.h"

namespace evenkeel::job {

v1::LayerSpec TestLayer(const std::string& name, int num_experts, int top_k) {
  v1::LayerSpec layer;
  layer.set_name(name);
  layer.set_num_experts(num_experts);
  layer.set_top_k(top_k);
  return layer;
}

v1::JobSpec TestSpec(int contributors) {
  v1::JobSpec spec;
  spec.set_name("job");
  spec.set_contributors(contributors);
  *spec.add_layers() = TestLayer("a", 4, 2);
  *spec.add_layers() = TestLayer("b", 3, 1);
  return spec;
}

v1::JobSpec TestSpecWithStreams(int contributors) {
  v1::JobSpec spec = TestSpec(contributors);
  *spec.add_layers() = TestLayer("c", 5, 2);
  spec.mutable_layers(0)->set_streams(2);
  spec.mutable_layers(0)->set_counts_dispatched(true);
  spec.mutable_layers(2)->set_counts_dispatched(true);
  return spec;
}

JobPlan TestPlan(const v1::JobSpec& spec) { return PlanJob(spec, v1::BalanceConfig(), WithDefaults({})).value(); }

v1::JoinRequest TestJoin(const v1::JobSpec& spec, int contributor, uint64_t incarnation, uint64_t next_step) {
  v1::JoinRequest request;
  request.set_protocol_version(1);
  *request.mutable_job() = spec;
  request.set_contributor(contributor);
  request.set_incarnation(incarnation);
  request.set_next_step(next_step);
  return request;
}

v1::Counts PackCounts(absl::Span<const uint64_t> counts) {
  v1::Counts message;
  const bool high = std::any_of(counts.begin(), counts.end(), [](uint64_t count) { return count >> 32 != 0; });
  for (const uint64_t count : counts) {
    message.add_low(static_cast<uint32_t>(count));
    if (high) message.add_high(static_cast<uint32_t>(count >> 32));
  }
  return message;
}

}  // namespace evenkeel::job
