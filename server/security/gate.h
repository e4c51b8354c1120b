#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/log_event.h"
#include "base/mutex.h"
#include "evenkeel/v1/job.pb.h"
#include "server/security/identities.h"
#include "server/security/permission.h"
#include "server/security/quota.h"

namespace evenkeel::security {

// What a call shows of its caller.
struct Caller {
  // The bearer token; empty: none.
  std::string token;
  // DNS names and URIs of a certificate that was verified.
  std::vector<std::string> sans;
  // Whether nobody on the way can read the call: it is encrypted, or stays on this machine.
  bool is_private = false;
};

// Who has been let in: an identity, or, where no identities are set, anyone.
class Pass {
 public:
  bool MaySee(absl::string_view job) const { return identity_ == nullptr || IsOneOfItsJobs(*identity_, job); }

 private:
  friend class Gate;
  std::shared_ptr<const Identities> owner_;
  const v1::Identity* identity_ = nullptr;
};

// Lets calls in: says who calls, whether they may, and whether their quota has room. Thread-safe; time is an argument.
class Gate {
 public:
  using Time = QuotaUse::Time;

  // `log` gets a line for each refusal, at most one a second, from any thread.
  explicit Gate(LogSink log) : log_(std::move(log)) {}

  // From now on these are known; null: everybody may do everything. What an identity has taken of a quota that stays as
  // it was stays taken.
  void SetIdentities(std::shared_ptr<const Identities> identities);

  // Whether identities are set: where none are, nothing is asked of a Caller.
  bool AsksWhoCalls();

  // Asks whether a call may come in, and counts it. `job` is empty where the method names none. A token decides before
  // a certificate does.
  //   UNAUTHENTICATED     NOT_KNOWN
  //   PERMISSION_DENIED   NOT_ALLOWED
  //   RESOURCE_EXHAUSTED  QUOTA_EXCEEDED
  absl::StatusOr<Pass> Admit(const Caller& caller, Method method, absl::string_view job, size_t bytes, Time now);

  // Of a Join that has been admitted: RESOURCE_EXHAUSTED (QUOTA_EXCEEDED) where the job is too large, or one too many.
  // After OK, EndJoin follows.
  absl::Status BeginJoin(const Pass& pass, const v1::JobSpec& job);
  void EndJoin(const Pass& pass, const std::string& job, bool joined);
  // Whether BeginJoin would refuse that job unless KeepOnly, with all jobs that there are, makes room.
  bool IsFullFor(const Pass& pass, const std::string& job);
  void KeepOnly(const Pass& pass, const std::vector<std::string>& jobs);

 private:
  absl::StatusOr<Pass> Recognise(const Caller& caller) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Null where the pass has no quota, or is of an identity that is gone.
  QuotaUse* UseOf(const Pass& pass) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether another line may be logged.
  bool MayLog(Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  struct Use {
    std::string quota;  // serialised
    QuotaUse use;
  };

  const LogSink log_;
  Mutex mutex_;
  std::shared_ptr<const Identities> identities_ ABSL_GUARDED_BY(mutex_);
  // By the identity's name.
  std::map<std::string, Use> uses_ ABSL_GUARDED_BY(mutex_);
  TokenBucket lines_ ABSL_GUARDED_BY(mutex_){1, std::chrono::seconds(1)};
  int64_t unlogged_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace evenkeel::security
