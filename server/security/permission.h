#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "evenkeel/v1/identities.pb.h"

// Who may call what: pure functions of the identities file.
namespace evenkeel::security {

// The calls of BiasCoordinator.
enum class Method {
  kJoin,
  kPush,
  kWatch,
  kHeartbeat,
  kLeave,
  kGetState,
  kPutState,
  kUpdateConfig,
  kRendezvous,
  kListJobs,
  kDescribeJob,
  kGetHistory,
};

// As the proto has it.
absl::string_view NameOf(Method method);

// Whether `text` is of `pattern`, in which * stands for any characters, or none.
bool Matches(absl::string_view pattern, absl::string_view text);

// Whether the job, which may not exist, is one of the identity's.
bool IsOneOfItsJobs(const v1::Identity& identity, absl::string_view job);

// OK, or PERMISSION_DENIED (NOT_ALLOWED), in words that are the same whether the job exists or not. `job` is empty for
// ListJobs, which names none: what its answer may hold, IsOneOfItsJobs says.
absl::Status Decide(const v1::Identity& identity, Method method, absl::string_view job);

}  // namespace evenkeel::security
