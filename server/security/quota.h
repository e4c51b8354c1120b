#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "evenkeel/v1/identities.pb.h"
#include "evenkeel/v1/job.pb.h"
#include "server/security/token_bucket.h"

namespace evenkeel::security {

// What one identity has taken of its quota. Each refusal is RESOURCE_EXHAUSTED (QUOTA_EXCEEDED), names the quota, and
// says when there is room again. Of one thread; time is an argument.
class QuotaUse {
 public:
  using Time = TokenBucket::Time;

  explicit QuotaUse(const v1::Identity& identity);

  // One call, whose request has so many bytes.
  absl::Status Call(size_t bytes, Time now);

  // The shape of a job, as one of the identity's contributors asks for it.
  absl::Status CheckShape(const v1::JobSpec& job) const;

  // A Join of `job` begins: it counts as a job of the identity's from here on, unless no Join of it ends well.
  absl::Status BeginJoin(const std::string& job);
  void EndJoin(const std::string& job, bool joined);
  // Whether a Join of that job would exceed max_jobs, as far as is known here.
  bool IsFullFor(const std::string& job) const;
  // Forgets the jobs that are not among these, which are all that there are.
  void KeepOnly(const std::vector<std::string>& jobs);

 private:
  struct Job {
    int joins_in_progress = 0;
    bool joined = false;
  };

  absl::Status Exceeded(const std::string& what, int64_t retry_after_ms) const;

  const std::string name_;
  const v1::Quota quota_;
  std::optional<TokenBucket> requests_;
  std::optional<TokenBucket> bytes_;
  std::map<std::string, Job> jobs_;
};

}  // namespace evenkeel::security
