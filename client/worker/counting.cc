#include "client/worker/counting.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kernels/balance/update.h"

namespace evenkeel::client {
namespace {

bool IsValid(const Ids& ids, int64_t row) { return ids.valid_mask == nullptr || ids.valid_mask[row] != 0; }

}  // namespace

LayerCounts::LayerCounts(int num_experts, int top_k) : top_k_(top_k), counts_(num_experts), seen_in_(num_experts) {}

absl::Status LayerCounts::CheckRoom(uint64_t tokens) const {
  const uint64_t room = balance::kMaxCountSum / top_k_ - tokens_;
  if (tokens <= room) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(tokens, " tokens more than the ", tokens_,
                                                 " of this step so far, times top_k ", top_k_,
                                                 ", are more assignments than a step can hold (2^48)"));
}

template <typename Id>
absl::Status LayerCounts::CheckRow(const Id* ids, int64_t row) {
  const int num_experts = static_cast<int>(counts_.size());
  ++row_number_;
  for (int slot = 0; slot < top_k_; ++slot) {
    const Id id = ids[slot];
    if (id == -1) continue;
    if (id < 0 || id >= num_experts) {
      return absl::InvalidArgumentError(
          absl::StrCat("ids: row ", row, " holds ", id, "; -1 to ", num_experts - 1, " are allowed"));
    }
    if (seen_in_[id] == row_number_) {
      return absl::InvalidArgumentError(absl::StrCat("ids: row ", row, " holds ", id, " twice"));
    }
    seen_in_[id] = row_number_;
  }
  return absl::OkStatus();
}

absl::Status LayerCounts::CheckIds(const Ids& ids) {
  if (ids.rows < 0) return absl::InvalidArgumentError(absl::StrCat("rows is ", ids.rows, "; it must be at least 0"));
  if (ids.rows > 0 && ids.ids == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("ids is null for ", ids.rows, " rows"));
  }
  if (StrideOf(ids) < top_k_) {
    return absl::InvalidArgumentError(
        absl::StrCat("ids_stride is ", StrideOf(ids), "; it must be at least top_k ", top_k_));
  }
  EVENKEEL_RETURN_IF_ERROR(CheckRoom(ids.rows));
  return ids.ids_type == IntType::kInt64 ? CheckRows(static_cast<const int64_t*>(ids.ids), ids)
                                         : CheckRows(static_cast<const int32_t*>(ids.ids), ids);
}

absl::Status LayerCounts::AddIds(const Ids& ids) {
  EVENKEEL_RETURN_IF_ERROR(CheckIds(ids));
  if (ids.ids_type == IntType::kInt64) {
    AddRows(static_cast<const int64_t*>(ids.ids), ids);
  } else {
    AddRows(static_cast<const int32_t*>(ids.ids), ids);
  }
  return absl::OkStatus();
}

template <typename Id>
absl::Status LayerCounts::CheckRows(const Id* ids, const Ids& given) {
  for (int64_t row = 0; row < given.rows; ++row) {
    if (IsValid(given, row)) EVENKEEL_RETURN_IF_ERROR(CheckRow(ids + row * StrideOf(given), row));
  }
  return absl::OkStatus();
}

template <typename Id>
void LayerCounts::AddRows(const Id* ids, const Ids& given) {
  for (int64_t row = 0; row < given.rows; ++row) {
    if (!IsValid(given, row)) continue;
    ++tokens_;
    for (int slot = 0; slot < top_k_; ++slot) {
      const Id id = ids[row * StrideOf(given) + slot];
      if (id == -1) {
        ++short_slots_;
      } else {
        ++counts_[id];
      }
    }
  }
}

absl::Status LayerCounts::CheckCounts(const uint64_t* counts, uint64_t tokens, uint64_t short_slots) const {
  if (counts == nullptr) return absl::InvalidArgumentError("counts is null");
  EVENKEEL_RETURN_IF_ERROR(CheckRoom(tokens));
  const uint64_t slots = tokens * top_k_;
  // Each count is at most `slots`, or the sum is wrong whatever it is: so it cannot overflow.
  uint64_t sum = 0;
  for (size_t expert = 0; expert < counts_.size(); ++expert) {
    if (counts[expert] > slots) {
      return absl::InvalidArgumentError(absl::StrCat("counts: expert ", expert, " has ", counts[expert], ", but ",
                                                     tokens, " tokens have ", slots, " slots"));
    }
    sum += counts[expert];
  }
  if (short_slots <= slots && sum == slots - short_slots) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("counts add up to ", sum, ", but top_k ", top_k_, " * valid_tokens ",
                                                 tokens, " - short_slots ", short_slots, " was expected"));
}

absl::Status LayerCounts::AddCounts(const uint64_t* counts, uint64_t tokens, uint64_t short_slots) {
  EVENKEEL_RETURN_IF_ERROR(CheckCounts(counts, tokens, short_slots));
  for (size_t expert = 0; expert < counts_.size(); ++expert) counts_[expert] += counts[expert];
  AddRouted(tokens, short_slots);
  return absl::OkStatus();
}

absl::Status LayerCounts::CheckSums(const uint64_t* counts) const {
  if (counts == nullptr) return absl::InvalidArgumentError("counts is null");
  for (size_t expert = 0; expert < counts_.size(); ++expert) {
    if (counts[expert] <= balance::kMaxCountSum - counts_[expert]) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("counts: expert ", expert, " has ", counts[expert], " more; a step can hold 2^48 assignments"));
  }
  return absl::OkStatus();
}

absl::Status LayerCounts::AddSums(const uint64_t* counts) {
  EVENKEEL_RETURN_IF_ERROR(CheckSums(counts));
  for (size_t expert = 0; expert < counts_.size(); ++expert) counts_[expert] += counts[expert];
  return absl::OkStatus();
}

void LayerCounts::AddRouted(uint64_t tokens, uint64_t short_slots) {
  tokens_ += tokens;
  short_slots_ += short_slots;
}

void LayerCounts::Clear() {
  std::fill(counts_.begin(), counts_.end(), uint64_t{0});
  tokens_ = 0;
  short_slots_ = 0;
}

}  // namespace evenkeel::client
