#include "client/reduce/coordinator_rendezvous.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error_detail.h"
#include "base/status_macros.h"
#include "client/link/verdict.h"
#include "evenkeel/v1/bias_coordinator.pb.h"

namespace evenkeel::client {
namespace {

// The values of all ranks, at most 64 MiB together, and what is around them.
constexpr int kMaxReplyBytes = 68 << 20;

Deadline Now() { return std::chrono::steady_clock::now(); }

bool NamesTheMissing(const absl::Status& status) { return ReasonOf(status) == v1::ErrorDetail::RANKS_MISSING; }

}  // namespace

CoordinatorRendezvous::CoordinatorRendezvous(std::string coordinator, GroupPlace place, uint64_t incarnation,
                                             const CoordinatorRendezvousOptions& options)
    : coordinator_(std::move(coordinator)),
      place_(std::move(place)),
      incarnation_(incarnation),
      options_(options),
      connection_(coordinator_, kMaxReplyBytes, options.credentials) {}

absl::StatusOr<std::vector<std::string>> CoordinatorRendezvous::Exchange(const std::string& key,
                                                                         const std::string& value, Deadline deadline) {
  EVENKEEL_RETURN_IF_ERROR(CheckRendezvousValue(value));
  v1::RendezvousRequest request;
  request.set_job(place_.job);
  request.set_group(place_.group);
  request.set_rank(place_.rank);
  request.set_size(place_.size);
  request.set_key(key);
  request.set_value(value);

  Backoff backoff(options_.backoff, incarnation_);
  absl::Status obstacle;
  while (true) {
    v1::RendezvousResponse response;
    // The first attempt fails at once where there is no connection, so that it can be said why; later ones wait for
    // one.
    const absl::Status status = connection_.Rendezvous(
        request, {std::min(deadline, Now() + options_.attempt_timeout), /*wait_for_connection=*/!obstacle.ok()},
        &response);
    if (status.ok()) return std::vector<std::string>(response.values().begin(), response.values().end());
    if (Judge(status) != Verdict::kRetry) return Explained(status.code(), key, status);
    // Silence says less than whatever was met before it.
    const bool silence = absl::IsDeadlineExceeded(status) && !NamesTheMissing(status);
    if (obstacle.ok() || !silence) obstacle = status;
    // Whoever is only too early comes back at once: nobody finds it while it is away.
    const std::chrono::nanoseconds pause = NamesTheMissing(status) ? options_.backoff.initial : backoff.Next();
    std::this_thread::sleep_until(std::min(deadline, Now() + pause));
    if (Now() >= deadline) return Explained(absl::StatusCode::kDeadlineExceeded, key, obstacle);
  }
}

absl::Status CoordinatorRendezvous::Explained(absl::StatusCode code, const std::string& key,
                                              const absl::Status& status) const {
  const std::string met = NamesTheMissing(status)
                              ? std::string(status.message())
                              : absl::StrCat(absl::StatusCodeToString(status.code()), ": ", status.message());
  return absl::Status(code, absl::StrCat("rank ", place_.rank, " of group \"", place_.group, "\" at the rendezvous \"",
                                         key, "\" at ", coordinator_, ": ", met));
}

}  // namespace evenkeel::client
