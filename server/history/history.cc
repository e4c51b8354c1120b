#include "server/history/history.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/error_detail.h"

namespace evenkeel::history {
namespace {

bool IsSame(const v1::Version& a, const v1::Version& b) { return a.epoch() == b.epoch() && a.step() == b.step(); }

}  // namespace

void History::Restore(const v1::JobState& state) { Begin(state.spec().name(), state); }

void History::Begin(const std::string& job, const v1::JobState& state) {
  auto entry = std::make_shared<Entry>();
  {
    MutexLock lock(&entry->mutex);
    entry->history.emplace(state);
  }
  MutexLock lock(&mutex_);
  jobs_[job].swap(entry);
}

void History::Take(absl::Span<const core::Write> writes) {
  for (const core::Write& write : writes) Take(write);
}

void History::Take(const core::Write& write) {
  if (write.expires) {
    MutexLock lock(&mutex_);
    jobs_.erase(write.job);
    return;
  }
  if (write.state == nullptr) return;
  const std::shared_ptr<Entry> entry = Find(write.job);
  if (entry != nullptr) {
    MutexLock lock(&entry->mutex);
    const v1::Version& newest = entry->history->version();
    if (write.commit.has_value() && write.state->version().step() == newest.step() + 1) {
      return entry->history->Add(*write.state);
    }
    if (!write.begins_anew && IsSame(write.state->version(), newest)) return entry->history->TakeConfig(*write.state);
  }
  Begin(write.job, *write.state);
}

std::shared_ptr<History::Entry> History::Find(absl::string_view job) const {
  MutexLock lock(&mutex_);
  const auto found = jobs_.find(job);
  return found == jobs_.end() ? nullptr : found->second;
}

std::optional<Picture> History::Look(absl::string_view job) const {
  const std::shared_ptr<Entry> entry = Find(job);
  if (entry == nullptr) return std::nullopt;
  MutexLock lock(&entry->mutex);
  return entry->history->Look();
}

absl::StatusOr<v1::GetHistoryResponse> History::Describe(const v1::GetHistoryRequest& request) const {
  const std::shared_ptr<Entry> entry = Find(request.job());
  if (entry == nullptr) {
    return ServiceError(absl::StatusCode::kNotFound, v1::ErrorDetail::JOB_UNKNOWN,
                        absl::StrCat("job \"", absl::CHexEscape(request.job()), "\" is not known"));
  }
  MutexLock lock(&entry->mutex);
  return entry->history->Describe(request);
}

}  // namespace evenkeel::history
