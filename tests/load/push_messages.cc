#include "tests/load/push_messages.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "synthetic/synthetic_load.h"

namespace evenkeel::load {
namespace {

constexpr double kSkew = 0.5;

// Not 0, and another for each contributor.
uint64_t IncarnationOf(int contributor) { return 1'000 + contributor; }

// How often each expert has one of the largest logits of a row.
void CountRows(const std::vector<float>& logits, absl::Span<uint32_t> counts) {
  std::vector<int> order(counts.size());
  for (auto row = logits.begin(); row != logits.end(); row += counts.size()) {
    std::iota(order.begin(), order.end(), 0);
    std::nth_element(order.begin(), order.begin() + LoadCase::kTopK - 1, order.end(),
                     [&](int a, int b) { return row[a] != row[b] ? row[a] > row[b] : a < b; });
    for (int slot = 0; slot < LoadCase::kTopK; ++slot) ++counts[order[slot]];
  }
}

// The counts of one worker's step, in layer order.
std::vector<uint32_t> CountStep(const synthetic::SyntheticLoad& load, int contributor) {
  const int experts = load.options().num_experts;
  std::vector<float> logits(PushMessages::kTokens * experts);
  std::vector<uint32_t> counts(load.options().layers * experts);
  for (int layer = 0; layer < load.options().layers; ++layer) {
    load.FillLogits({/*step=*/1, contributor, /*first=*/0, PushMessages::kTokens}, layer, logits.data(), experts);
    CountRows(logits, absl::MakeSpan(counts).subspan(layer * experts, experts));
  }
  return counts;
}

}  // namespace

PushMessages::PushMessages(const LoadCase& load_case, uint64_t seed) : load_case_(load_case) {
  synthetic::SyntheticOptions options;
  options.seed = seed;
  options.layers = load_case.layers;
  options.num_experts = load_case.experts;
  options.skew = kSkew;
  const auto load = synthetic::SyntheticLoad::Create(options);
  EVENKEEL_CHECK(load.ok());
  for (int array = 0; array < kArrays; ++array) {
    v1::PushRequest push;
    const std::vector<uint32_t> counts = CountStep(*load, array);
    push.mutable_routed()->mutable_low()->Add(counts.begin(), counts.end());
    for (int layer = 0; layer < load_case.layers; ++layer) push.add_valid_tokens(kTokens);
    counts_.emplace_back(push.SerializeAsString());
  }
}

v1::JoinRequest PushMessages::Join(const std::string& job, int contributor) const {
  v1::JoinRequest request;
  request.set_protocol_version(1);
  request.set_contributor(contributor);
  request.set_incarnation(IncarnationOf(contributor));
  request.set_next_step(1);
  v1::JobSpec* spec = request.mutable_job();
  spec->set_name(job);
  spec->set_contributors(load_case_.workers);
  for (int i = 0; i < load_case_.layers; ++i) {
    v1::LayerSpec* layer = spec->add_layers();
    layer->set_name(absl::StrFormat("layers.%03d.mlp", i));
    layer->set_num_experts(load_case_.experts);
    layer->set_top_k(LoadCase::kTopK);
  }
  return request;
}

grpc::ByteBuffer PushMessages::Push(const std::string& job, int contributor, uint64_t epoch, uint64_t step) const {
  v1::PushRequest own;
  own.set_job(job);
  own.set_contributor(contributor);
  own.set_incarnation(IncarnationOf(contributor));
  own.set_epoch(epoch);
  own.set_step(step);
  own.set_ok(true);
  own.mutable_routed_with()->set_epoch(epoch);
  own.mutable_routed_with()->set_step(step - 1);
  const grpc::Slice parts[] = {grpc::Slice(own.SerializeAsString()), counts_[(contributor + step) % kArrays]};
  return grpc::ByteBuffer(parts, 2);
}

}  // namespace evenkeel::load
