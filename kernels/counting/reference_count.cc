#include "kernels/counting/reference_count.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

namespace evenkeel::counting {
namespace {

std::vector<int64_t> IdsOfRow(const IdsInput& input, int64_t row) {
  std::vector<int64_t> ids;
  for (int slot = 0; slot < input.top_k; ++slot) {
    const int64_t element = row * input.ids_stride + slot;
    const bool narrow = input.id_type == routing::IdType::kInt32;
    ids.push_back(narrow ? static_cast<const int32_t*>(input.ids)[element]
                         : static_cast<const int64_t*>(input.ids)[element]);
  }
  return ids;
}

bool CanCount(std::vector<int64_t> ids, int num_experts) {
  std::sort(ids.begin(), ids.end());
  if (ids.front() < -1 || ids.back() >= num_experts) return false;
  const auto first_expert = std::upper_bound(ids.begin(), ids.end(), -1);
  return std::adjacent_find(first_expert, ids.end()) == ids.end();
}

void CountRow(const std::vector<int64_t>& ids, const CountOutput& output) {
  ++output.stats->valid_rows;
  for (const int64_t id : ids) {
    if (id == -1) {
      ++output.stats->short_slots;
    } else {
      ++output.counts[id];
    }
  }
}

// None where it is not what CountsInput asks for.
std::optional<uint64_t> CountOf(const CountsInput& input, int expert) {
  if (input.type == CountType::kFloat32) {
    const float count = static_cast<const float*>(input.counts)[expert];
    if (!(count >= 0 && count <= kMaxFloatCount) || std::trunc(count) != count) return std::nullopt;
    return static_cast<uint64_t>(count);
  }
  const int64_t count = input.type == CountType::kInt32 ? static_cast<const int32_t*>(input.counts)[expert]
                                                        : static_cast<const int64_t*>(input.counts)[expert];
  if (count < 0 || count > static_cast<int64_t>(kMaxCount)) return std::nullopt;
  return count;
}

// Empty where they cannot be added.
std::vector<uint64_t> CountsOf(const CountsInput& input) {
  std::vector<uint64_t> counts;
  uint64_t sum = 0;  // kMaxExperts of kMaxCount are 2^62
  for (int expert = 0; expert < input.num_experts; ++expert) {
    const std::optional<uint64_t> count = CountOf(input, expert);
    if (!count.has_value()) return {};
    counts.push_back(*count);
    sum += *count;
  }
  if (!input.any_sum && sum != input.top_k * input.valid_rows - input.short_slots) return {};
  return counts;
}

}  // namespace

absl::Status ReferenceCountIds(const IdsInput& input, const CountOutput& output) {
  if (absl::Status status = ValidateCount(input, output); !status.ok()) return status;
  for (int64_t row = 0; row < input.rows; ++row) {
    if (input.valid_mask != nullptr && input.valid_mask[row] == 0) continue;
    const std::vector<int64_t> ids = IdsOfRow(input, row);
    if (CanCount(ids, input.num_experts)) {
      CountRow(ids, output);
    } else {
      ++*output.refused;
    }
  }
  return absl::OkStatus();
}

absl::Status ReferenceAddCounts(const CountsInput& input, const CountOutput& output) {
  if (absl::Status status = ValidateCount(input, output); !status.ok()) return status;
  const std::vector<uint64_t> counts = CountsOf(input);
  if (counts.empty()) {
    ++*output.refused;
    return absl::OkStatus();
  }
  for (int expert = 0; expert < input.num_experts; ++expert) output.counts[expert] += counts[expert];
  if (input.any_sum) return absl::OkStatus();
  output.stats->valid_rows += input.valid_rows;
  output.stats->short_slots += input.short_slots;
  return absl::OkStatus();
}

}  // namespace evenkeel::counting
