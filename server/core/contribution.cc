#include "server/core/contribution.h"

#include <memory>
#include <sstream>
#include <string>

#include "absl/numeric/int128.h"
#include "absl/strings/str_cat.h"
#include "base/error_detail.h"
#include "base/status_macros.h"
#include "kernels/balance/update.h"
#include "server/core/count_range.h"

#if defined(__x86_64__)
#include "xxh_x86dispatch.h"  // XXH3 with what this CPU has; includes xxhash.h
#else
#include "xxhash.h"
#endif

namespace evenkeel::core {
namespace {

absl::Status Refuse(v1::ErrorDetail::Reason reason, absl::string_view message) {
  return ServiceError(absl::StatusCode::kInvalidArgument, reason, message);
}

absl::Status CheckLength(absl::string_view field, int64_t length, int64_t expected) {
  if (length == expected) return absl::OkStatus();
  return Refuse(
      v1::ErrorDetail::SHAPE_MISMATCH,
      absl::StrCat(field, " has ", length, " entries; the layers that this contributor owns ask for ", expected));
}

absl::Status CheckNothing(absl::string_view field, int64_t length) {
  if (length == 0) return absl::OkStatus();
  return Refuse(v1::ErrorDetail::SHAPE_MISMATCH,
                absl::StrCat(field, " has ", length, " entries; with counts_lost there is nothing to count"));
}

absl::Status CheckLost(const v1::PushRequest& push) {
  EVENKEEL_RETURN_IF_ERROR(CheckNothing("valid_tokens", push.valid_tokens_size()));
  EVENKEEL_RETURN_IF_ERROR(CheckNothing("short_slots", push.short_slots_size()));
  EVENKEEL_RETURN_IF_ERROR(CheckNothing("routed.low", push.routed().low_size()));
  EVENKEEL_RETURN_IF_ERROR(CheckNothing("routed.high", push.routed().high_size()));
  EVENKEEL_RETURN_IF_ERROR(CheckNothing("dispatched.low", push.dispatched().low_size()));
  return CheckNothing("dispatched.high", push.dispatched().high_size());
}

absl::Status CheckCounts(absl::string_view plane, const v1::Counts& counts, int64_t experts) {
  EVENKEEL_RETURN_IF_ERROR(CheckLength(absl::StrCat(plane, ".low"), counts.low_size(), experts));
  if (counts.high_size() == 0) return absl::OkStatus();
  return CheckLength(absl::StrCat(plane, ".high"), counts.high_size(), experts);
}

absl::Status CheckShapes(const job::LayerTable& layers, const std::vector<int>& owned, const v1::PushRequest& push) {
  int64_t experts = 0;
  int64_t dispatched = 0;
  for (const int index : owned) {
    experts += layers[index].num_experts;
    if (layers[index].dispatched_offset >= 0) dispatched += layers[index].num_experts;
  }
  const int64_t rows = owned.size();
  EVENKEEL_RETURN_IF_ERROR(CheckLength("valid_tokens", push.valid_tokens_size(), rows));
  if (push.short_slots_size() > 0) {
    EVENKEEL_RETURN_IF_ERROR(CheckLength("short_slots", push.short_slots_size(), rows));
  }
  EVENKEEL_RETURN_IF_ERROR(CheckCounts("routed", push.routed(), experts));
  return CheckCounts("dispatched", push.dispatched(), dispatched);
}

std::string Shown(absl::uint128 number) {
  std::ostringstream text;
  text << number;
  return text.str();
}

// The invariant of the routing contract: every slot of a valid token is an assignment, or is reported as short.
absl::Status CheckSum(const job::LayerTable::Row& row, unsigned __int128 sum, uint64_t tokens, uint64_t short_slots) {
  const unsigned __int128 slots = static_cast<unsigned __int128>(row.top_k) * tokens;
  if (slots > balance::kMaxCountSum) {
    return Refuse(v1::ErrorDetail::COUNTS_INCONSISTENT,
                  absl::StrCat(Quoted(row), ": valid_tokens is ", tokens, "; times top_k ", row.top_k,
                               " that is more than a step can hold (2^48)"));
  }
  if (slots >= short_slots && sum == slots - short_slots) return absl::OkStatus();
  return Refuse(v1::ErrorDetail::COUNTS_INCONSISTENT,
                absl::StrCat(Quoted(row), ": counts add up to ", Shown(sum), ", but top_k ", row.top_k,
                             " * valid_tokens ", tokens, " - short_slots ", short_slots, " was expected"));
}

// A capacity limit drops assignments; it makes none.
absl::Status CheckDispatched(const job::LayerTable::Row& row, int expert, uint64_t dispatched, uint64_t routed) {
  if (dispatched <= routed) return absl::OkStatus();
  return Refuse(v1::ErrorDetail::DISPATCHED_INCONSISTENT,
                absl::StrCat(Quoted(row), ", expert ", expert, ": dispatched is ", dispatched, ", more than the ",
                             routed, " that were routed to it"));
}

uint64_t At(const v1::Counts& counts, int i) {
  return counts.low(i) | (counts.high_size() > 0 ? uint64_t{counts.high(i)} << 32 : 0);
}

// Of a row whose counts begin at these indices of the two planes.
absl::Status CheckDispatched(const job::LayerTable::Row& row, const v1::Counts& routed, int first_routed,
                             const v1::Counts& dispatched, int first_dispatched) {
  for (int expert = 0; expert < row.num_experts; ++expert) {
    EVENKEEL_RETURN_IF_ERROR(
        CheckDispatched(row, expert, At(dispatched, first_dispatched + expert), At(routed, first_routed + expert)));
  }
  return absl::OkStatus();
}

absl::Status CheckRows(const job::LayerTable& layers, const std::vector<int>& owned, const v1::PushRequest& push) {
  int next = 0;
  int next_dispatched = 0;
  for (size_t i = 0; i < owned.size(); ++i) {
    const job::LayerTable::Row& row = layers[owned[i]];
    if (row.dispatched_offset >= 0) {
      EVENKEEL_RETURN_IF_ERROR(CheckDispatched(row, push.routed(), next, push.dispatched(), next_dispatched));
      next_dispatched += row.num_experts;
    }
    const unsigned __int128 sum = SumOfCounts(push.routed(), next, row.num_experts);
    next += row.num_experts;
    const uint64_t short_slots = push.short_slots_size() > 0 ? push.short_slots(i) : 0;
    EVENKEEL_RETURN_IF_ERROR(CheckSum(row, sum, push.valid_tokens(i), short_slots));
  }
  return absl::OkStatus();
}

using Words = google::protobuf::RepeatedField<uint32_t>;

// What is in memory that was made for far more moves into memory of its own: among contributors of different jobs, all
// would hold as much as the largest in the end.
void TakeWords(Words* from, Words* to) {
  if (from->Capacity() / 2 > from->size()) *from = Words(from->begin(), from->end());
  from->Swap(to);
}

void TakeCounts(v1::Counts* from, v1::Counts* to) {
  TakeWords(from->mutable_low(), to->mutable_low());
  TakeWords(from->mutable_high(), to->mutable_high());
}

// Feeds arrays and scalars to one hash, each with its length, so that no two messages run into each other.
class Hasher {
 public:
  Hasher() : state_(XXH3_createState(), XXH3_freeState) { XXH3_64bits_reset(state_.get()); }

  void Scalar(uint64_t value) { XXH3_64bits_update(state_.get(), &value, sizeof(value)); }

  template <typename Field>
  void Array(const Field& field) {
    Scalar(field.size());
    XXH3_64bits_update(state_.get(), field.data(), field.size() * sizeof(*field.data()));
  }

  uint64_t Digest() const { return XXH3_64bits_digest(state_.get()); }

 private:
  std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state_;
};

}  // namespace

absl::Status Contribution::Take(const job::LayerTable& layers, const std::vector<int>& owned, v1::PushRequest* push) {
  if (push->counts_lost()) {
    EVENKEEL_RETURN_IF_ERROR(CheckLost(*push));
    Clear();
    return absl::OkStatus();
  }
  EVENKEEL_RETURN_IF_ERROR(CheckShapes(layers, owned, *push));
  EVENKEEL_RETURN_IF_ERROR(CheckRows(layers, owned, *push));
  TakeCounts(push->mutable_routed(), &routed_);
  TakeCounts(push->mutable_dispatched(), &dispatched_);
  tokens_.assign(push->valid_tokens().begin(), push->valid_tokens().end());
  return absl::OkStatus();
}

template <typename Apply>
void Contribution::ForEachRow(const job::LayerTable& layers, const std::vector<int>& owned, job::StepSums* sums,
                              Apply apply) const {
  int next = 0;
  int next_dispatched = 0;
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const job::LayerTable::Row& row = layers[owned[i]];
    apply(routed_, next, row.num_experts, &sums->counts[row.offset]);
    next += row.num_experts;
    if (row.dispatched_offset < 0) continue;
    apply(dispatched_, next_dispatched, row.num_experts, &sums->dispatched[row.dispatched_offset]);
    next_dispatched += row.num_experts;
  }
}

void Contribution::AddTo(const job::LayerTable& layers, const std::vector<int>& owned, job::StepSums* sums) const {
  ForEachRow(layers, owned, sums, AddCounts);
  for (size_t i = 0; i < tokens_.size(); ++i) sums->tokens[owned[i]] += tokens_[i];
}

void Contribution::SubtractFrom(const job::LayerTable& layers, const std::vector<int>& owned,
                                job::StepSums* sums) const {
  ForEachRow(layers, owned, sums, SubtractCounts);
  for (size_t i = 0; i < tokens_.size(); ++i) sums->tokens[owned[i]] -= tokens_[i];
}

uint64_t PayloadHash(const v1::PushRequest& push) {
  Hasher hasher;
  hasher.Scalar(push.step());
  hasher.Scalar(push.ok());
  hasher.Scalar(push.routed_with().epoch());
  hasher.Scalar(push.routed_with().step());
  hasher.Scalar(push.provisional());
  hasher.Scalar(push.counts_lost());
  hasher.Scalar(push.replayed());
  hasher.Array(push.valid_tokens());
  hasher.Array(push.short_slots());
  hasher.Array(push.routed().low());
  hasher.Array(push.routed().high());
  hasher.Array(push.dispatched().low());
  hasher.Array(push.dispatched().high());
  hasher.Array(push.rank_fingerprints());
  hasher.Array(push.diverged_ranks());
  return hasher.Digest();
}

}  // namespace evenkeel::core
