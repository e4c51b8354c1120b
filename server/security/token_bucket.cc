#include "server/security/token_bucket.h"

#include <algorithm>

namespace evenkeel::security {
namespace {

constexpr int64_t kMillion = 1'000'000;

}  // namespace

void TokenBucket::Fill(Time now) {
  if (filled_at_ == Time::min()) filled_at_ = now;  // full as it is
  const auto passed = std::chrono::duration_cast<std::chrono::microseconds>(now - filled_at_);
  if (passed.count() <= 0) return;
  const __int128 full = static_cast<__int128>(capacity_) * kMillion;
  level_ = std::min(full, level_ + static_cast<__int128>(rate_) * passed.count());
  filled_at_ += passed;
}

int64_t TokenBucket::Take(int64_t amount, Time now) {
  Fill(now);
  if (amount > capacity_) return -1;
  const __int128 needed = static_cast<__int128>(amount) * kMillion;
  if (level_ >= needed) {
    level_ -= needed;
    return 0;
  }
  const __int128 per_millisecond = static_cast<__int128>(rate_) * 1'000;
  return static_cast<int64_t>((needed - level_ + per_millisecond - 1) / per_millisecond);
}

void TokenBucket::GiveBack(int64_t amount) { level_ += static_cast<__int128>(amount) * kMillion; }

}  // namespace evenkeel::security
