#include "kernels/routing/cpu/row_workspace.h"

namespace evenkeel::routing {
namespace {

// A register of any target, beyond a row's end.
constexpr int kSlack = kLanes / 2;

int ExpertValues(const RouteSpec& spec) { return Padded(spec.num_experts) + kSlack; }

int GroupValues(const RouteSpec& spec) { return GroupsActive(spec) ? Padded(spec.num_groups) + kSlack : kSlack; }

// ids, and the scratch that sorting leaves behind them.
int SlotIntegers() { return 3 * kMaxSimdSlots; }

int RowFloats(const RouteSpec& spec) { return 5 * ExpertValues(spec) + 2 * GroupValues(spec) + kMaxSimdSlots; }

int RowIntegers(const RouteSpec& spec) { return ExpertValues(spec) + 2 * GroupValues(spec) + SlotIntegers(); }

}  // namespace

BlockWorkspace::BlockWorkspace(const RouteSpec& spec) {
  bias_ = TakeFloats(ExpertValues(spec));
  rows_ = std::min({(kFloats - floats_taken_) / RowFloats(spec), kIntegers / RowIntegers(spec), kMaxRows});
  for (int r = 0; r < rows_; ++r) {
    RowWorkspace& row = row_[r];
    row.widened = TakeFloats(ExpertValues(spec));
    row.scores = TakeFloats(ExpertValues(spec));
    row.exponentials = TakeFloats(ExpertValues(spec));
    row.keys = TakeFloats(ExpertValues(spec));
    row.candidate_keys = TakeFloats(ExpertValues(spec));
    row.group_best = TakeFloats(GroupValues(spec));
    row.group_second = TakeFloats(GroupValues(spec));
    row.weights = TakeFloats(kMaxSimdSlots);
    row.candidate_ids = TakeIntegers(ExpertValues(spec));
    row.group_order = TakeIntegers(GroupValues(spec));
    row.segments = TakeIntegers(GroupValues(spec));
    row.ids = TakeIntegers(SlotIntegers());
  }
}

float* BlockWorkspace::TakeFloats(int count) {
  float* const begin = floats_ + floats_taken_;
  floats_taken_ += count;
  return begin;
}

int32_t* BlockWorkspace::TakeIntegers(int count) {
  int32_t* const begin = integers_ + integers_taken_;
  integers_taken_ += count;
  return begin;
}

}  // namespace evenkeel::routing
