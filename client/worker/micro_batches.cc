#include "client/worker/micro_batches.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace evenkeel::client {
namespace {

constexpr int64_t kBits = 64;

uint64_t BitOf(int64_t micro_batch) { return uint64_t{1} << (micro_batch % kBits); }

// Keeps the memory.
void Empty(std::vector<std::vector<uint64_t>>* rows) {
  for (std::vector<uint64_t>& words : *rows) std::fill(words.begin(), words.end(), uint64_t{0});
}

}  // namespace

MicroBatches::MicroBatches(int rows) : counted_(rows), aside_(rows) {}

absl::Status MicroBatches::Check(int64_t micro_batch) {
  if (micro_batch >= kUnnamed && micro_batch <= kMax) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("micro_batch is ", micro_batch, "; 0 to ", kMax,
                                                 " are allowed, or -1, with which every call counts"));
}

bool MicroBatches::Contains(int row, int64_t micro_batch) const {
  if (micro_batch == kUnnamed) return false;
  const std::vector<uint64_t>& words = counted_[row];
  const size_t word = micro_batch / kBits;
  return word < words.size() && (words[word] & BitOf(micro_batch)) != 0;
}

void MicroBatches::Insert(int row, int64_t micro_batch) {
  if (micro_batch == kUnnamed) return;
  std::vector<uint64_t>& words = counted_[row];
  const size_t word = micro_batch / kBits;
  if (word >= words.size()) words.resize(word + 1);
  words[word] |= BitOf(micro_batch);
}

void MicroBatches::Clear() { Empty(&counted_); }

void MicroBatches::SetAside() {
  counted_.swap(aside_);
  Empty(&counted_);
}

void MicroBatches::Restore() { counted_.swap(aside_); }

}  // namespace evenkeel::client
