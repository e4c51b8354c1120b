#include "server/security/quota.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/error_detail.h"
#include "base/status_macros.h"

namespace evenkeel::security {
namespace {

constexpr std::chrono::seconds kBurst{5};

}  // namespace

QuotaUse::QuotaUse(const v1::Identity& identity) : name_(identity.name()), quota_(identity.quota()) {
  if (quota_.has_requests_per_second()) requests_.emplace(quota_.requests_per_second(), kBurst);
  if (quota_.has_bytes_per_second()) bytes_.emplace(quota_.bytes_per_second(), kBurst);
}

absl::Status QuotaUse::Exceeded(const std::string& what, int64_t retry_after_ms) const {
  v1::ErrorDetail detail;
  detail.set_reason(v1::ErrorDetail::QUOTA_EXCEEDED);
  detail.set_retry_after_ms(retry_after_ms);
  std::string text = absl::StrCat("the quota of \"", name_, "\": ", what);
  if (retry_after_ms > 0) absl::StrAppend(&text, "; there is room in ", retry_after_ms, " ms");
  return ServiceError(absl::StatusCode::kResourceExhausted, detail, text);
}

absl::Status QuotaUse::Call(size_t bytes, Time now) {
  // The bytes come first: a refused call takes nothing of either.
  if (bytes_.has_value()) {
    const int64_t wait = bytes_->Take(static_cast<int64_t>(bytes), now);
    if (wait < 0) {
      return Exceeded(
          absl::StrCat("a request of ", bytes, " bytes never fits bytes_per_second ", quota_.bytes_per_second()), 0);
    }
    if (wait > 0) return Exceeded(absl::StrCat("bytes_per_second ", quota_.bytes_per_second()), wait);
  }
  if (!requests_.has_value()) return absl::OkStatus();
  const int64_t wait = requests_->Take(1, now);
  if (wait == 0) return absl::OkStatus();
  if (bytes_.has_value()) bytes_->GiveBack(static_cast<int64_t>(bytes));
  return Exceeded(absl::StrCat("requests_per_second ", quota_.requests_per_second()), wait);
}

absl::Status QuotaUse::CheckShape(const v1::JobSpec& job) const {
  int64_t experts = 0;
  for (const v1::LayerSpec& layer : job.layers()) {
    experts += int64_t{std::max(layer.num_experts(), 0)} * std::max(layer.streams(), 1);
  }
  const struct {
    const char* name;
    const char* what;
    bool given;
    int64_t most;
    int64_t value;
  } bounds[] = {
      {"max_layers", "layers", quota_.has_max_layers(), quota_.max_layers(), job.layers_size()},
      {"max_experts", "experts", quota_.has_max_experts(), quota_.max_experts(), experts},
      {"max_ranks", "ranks", quota_.has_max_ranks(), quota_.max_ranks(),
       std::max(job.world_size(), job.contributors())},
  };
  for (const auto& bound : bounds) {
    if (!bound.given || bound.value <= bound.most) continue;
    return Exceeded(absl::StrCat("the job has ", bound.value, " ", bound.what, "; ", bound.name, " is ", bound.most),
                    0);
  }
  return absl::OkStatus();
}

bool QuotaUse::IsFullFor(const std::string& job) const {
  return quota_.has_max_jobs() && jobs_.count(job) == 0 && static_cast<int64_t>(jobs_.size()) >= quota_.max_jobs();
}

absl::Status QuotaUse::BeginJoin(const std::string& job) {
  if (IsFullFor(job))
    return Exceeded(absl::StrCat("it has ", jobs_.size(), " jobs; max_jobs is ", quota_.max_jobs()), 0);
  if (quota_.has_max_jobs()) ++jobs_[job].joins_in_progress;
  return absl::OkStatus();
}

void QuotaUse::EndJoin(const std::string& job, bool joined) {
  const auto found = jobs_.find(job);
  if (found == jobs_.end()) return;
  Job& entry = found->second;
  entry.joins_in_progress = std::max(entry.joins_in_progress - 1, 0);
  entry.joined |= joined;
  if (entry.joins_in_progress == 0 && !entry.joined) jobs_.erase(found);
}

void QuotaUse::KeepOnly(const std::vector<std::string>& jobs) {
  for (auto entry = jobs_.begin(); entry != jobs_.end();) {
    const bool is_gone = std::find(jobs.begin(), jobs.end(), entry->first) == jobs.end();
    entry = is_gone && entry->second.joins_in_progress == 0 ? jobs_.erase(entry) : std::next(entry);
  }
}

}  // namespace evenkeel::security
