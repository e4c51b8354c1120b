#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "base/mutex.h"
#include "client/link/backoff.h"
#include "client/link/connection.h"
#include "client/link/heartbeat.h"
#include "evenkeel/v1/bias_coordinator.pb.h"

namespace evenkeel::client {

struct LinkOptions {
  // How long one attempt at a call waits for its answer. A push that waits for other contributors is simply repeated.
  std::chrono::milliseconds attempt_timeout{30'000};
  BackoffOptions backoff;
  Credentials credentials = {};
};

// A contributor's line to its coordinator, over which it lives through lost replies, silence and restarts:
//
//   Join -> Deliver -> Deliver -> ... -> Leave
//
// What the transport loses is sent again, unchanged but for the epoch; verdict.h says what is tried again, what joins
// again, and what is final. The coordinator counts a repeated push once. Of coordinators the newest epoch is heeded:
// one that answers with an epoch below the highest seen is stale, and is asked again until it is gone. So is, after
// Join, a service at its address whose errors are not a coordinator's: they carry no ErrorDetail.
// A version is given out only when version_check.h finds it unharmed. From Join to Leave it says now and then that the
// contributor is alive.
//
// Every call blocks, never longer than told, and is for one thread at a time; Stop, obstacle and Tell are for any.
class Link {
 public:
  // To `coordinator` (host:port). `join` is complete but for next_step, its layers sorted by name. Connects with Join.
  Link(std::string coordinator, v1::JoinRequest join, const LinkOptions& options = {});
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Registers for `next_step` and gives the answer. What the job is to go on from (rewind, catch_up, snapshot) is asked
  // for once, here. DEADLINE_EXCEEDED, with what the last attempt met, when
  // `deadline` comes first; DATA_LOSS from version_check.h; CANCELLED after Stop; else what the coordinator said.
  absl::Status Join(uint64_t next_step, Deadline deadline, v1::JoinResponse* response);

  // Delivers `push`, which is complete but for the epoch, and gives the version of its step, or a newer one. Errors as
  // of Join; after DEADLINE_EXCEEDED the push may have been counted or not, and the same one is to be delivered again.
  absl::Status Deliver(Deadline deadline, v1::PushRequest* push, v1::CommittedVersion* version);

  // What the next heartbeat brings. For any thread; of no effect before Join and after Leave.
  void Tell(const WorkerFigures& figures);

  // Gives the slot back. Errors as of Join.
  absl::Status Leave(Deadline deadline);

  // Ends the call in progress, at once, and every later one. The slot stays this incarnation's.
  void Stop();

  // What the call in progress has met last, OK while it has met nothing.
  absl::Status obstacle();

 private:
  using Attempt = absl::FunctionRef<absl::Status(const Patience&)>;

  // Repeats `attempt` with back-off while Judge says kRetry, until `deadline` or the end of the link. The first attempt
  // fails at once where there is no connection, so that it can be said why; later ones wait for one.
  absl::Status Persist(Deadline deadline, Attempt attempt);
  // Waits until then. False when the link ends.
  bool Pause(Deadline until);
  void Note(const absl::Status& obstacle);

  absl::Status JoinOnce(uint64_t next_step, const Patience& patience, v1::JoinResponse* response);
  absl::Status PushOnce(const v1::PushRequest& push, const Patience& patience, v1::CommittedVersion* version);
  // Pushes; where the coordinator asks for it, joins again and, unless that brought the version, pushes again.
  absl::Status PushOrJoin(const Patience& patience, v1::PushRequest* push, v1::CommittedVersion* version);
  // What a call of a contributor that has joined was answered; UNAVAILABLE where a stranger has answered it.
  absl::Status OfCoordinator(const absl::Status& status) const;
  // From now on, as the job of `response` has it.
  void Beat(const v1::JoinResponse& response);
  // UNAVAILABLE when a higher epoch has been seen.
  absl::Status CheckEpoch(uint64_t epoch);

  const std::string coordinator_;
  const LinkOptions options_;
  Connection connection_;
  v1::JoinRequest join_;
  uint64_t joined_epoch_ = 0;
  uint64_t highest_epoch_ = 0;

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status obstacle_ ABSL_GUARDED_BY(mutex_);
  // Between Join and Leave.
  std::unique_ptr<Heartbeat> heartbeat_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace evenkeel::client
