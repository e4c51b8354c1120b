#include "tests/benchmarks/route_workload.h"

#include <algorithm>
#include <chrono>

#include "base/check.h"
#include "kernels/routing/half.h"
#include "synthetic/synthetic_load.h"

namespace evenkeel::benchmarks {
namespace {

constexpr int64_t kLeastRowsOfAThread = 16;
constexpr int64_t kPoolRows = 4096;

}  // namespace

RouteWorkload::RouteWorkload(Router router, ThreadTeam* team, const routing::RouteSpec& spec, routing::DType dtype,
                             int64_t rows)
    : router_(router),
      team_(team),
      spec_(spec),
      dtype_(dtype),
      rows_(rows),
      pool_rows_(std::max(rows, kPoolRows / rows * rows)),
      logits_(pool_rows_ * spec.num_experts * ElementBytes()),
      bias_(spec.num_experts),
      ids_(rows * spec.top_k),
      weights_(rows * spec.top_k),
      parts_(std::clamp<int64_t>(rows / kLeastRowsOfAThread, 1, team->size())) {
  for (Part& part : parts_) part.counts.resize(spec.num_experts);
  FillInputs();
}

int64_t RouteWorkload::bytes_per_row() const {
  return spec_.num_experts * ElementBytes() + spec_.top_k * (sizeof(int32_t) + sizeof(float));
}

double RouteWorkload::Turn(double seconds) {
  const auto start = std::chrono::steady_clock::now();
  int calls = 0;
  double elapsed = 0;
  do {
    Call();
    ++calls;
    elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  } while (elapsed < seconds);
  return elapsed / calls;
}

bool RouteWorkload::RoutedEverything() const {
  uint64_t slots = 0;
  for (const Part& part : parts_) {
    if (!part.ok) return false;
    slots += part.stats.short_slots;
    for (const uint64_t count : part.counts) slots += count;
  }
  return slots == calls_ * rows_ * spec_.top_k;
}

void RouteWorkload::FillInputs() {
  synthetic::SyntheticOptions options;
  options.num_experts = spec_.num_experts;
  const auto load = synthetic::SyntheticLoad::Create(options);
  EVENKEEL_CHECK(load.ok());
  team_->Run([&](int member) {
    std::vector<float> row(spec_.num_experts);
    const int64_t end = pool_rows_ * (member + 1) / team_->size();
    for (int64_t r = pool_rows_ * member / team_->size(); r < end; ++r) {
      load->FillLogits({/*step=*/1, /*contributor=*/0, r, 1}, /*layer=*/0, row.data(), spec_.num_experts);
      StoreRow(row, r);
    }
  });
  load->FillLogits({/*step=*/2, /*contributor=*/0, 0, 1}, /*layer=*/0, bias_.data(), spec_.num_experts);
  for (float& bias : bias_) bias *= 0.01f;
}

void RouteWorkload::StoreRow(const std::vector<float>& row, int64_t index) {
  unsigned char* to = &logits_[index * spec_.num_experts * ElementBytes()];
  if (dtype_ == routing::DType::kF32) {
    std::copy(row.begin(), row.end(), reinterpret_cast<float*>(to));
  } else {
    for (int e = 0; e < spec_.num_experts; ++e) {
      reinterpret_cast<uint16_t*>(to)[e] = routing::BFloat16FromFloat(row[e]);
    }
  }
}

void RouteWorkload::Call() {
  const int64_t first = calls_++ * rows_ % pool_rows_;
  if (parts_.size() == 1) return RoutePart(0, first);
  team_->Run([&](int member) {
    if (member < parts_.size()) RoutePart(member, first);
  });
}

void RouteWorkload::RoutePart(int member, int64_t first) {
  const int64_t begin = rows_ * member / parts_.size();
  const int64_t end = rows_ * (member + 1) / parts_.size();
  Part& part = parts_[member];
  routing::RouteInput input;
  input.logits = &logits_[(first + begin) * spec_.num_experts * ElementBytes()];
  input.logits_dtype = dtype_;
  input.logits_stride = spec_.num_experts;
  input.rows = end - begin;
  input.bias = bias_.data();
  routing::RouteOutput output;
  output.ids = &ids_[begin * spec_.top_k];
  output.weights = &weights_[begin * spec_.top_k];
  output.ids_stride = output.weights_stride = spec_.top_k;
  output.counts = part.counts.data();
  part.ok &= router_(spec_, input, output, &part.stats).ok();
}

}  // namespace evenkeel::benchmarks
