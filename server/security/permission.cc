#include "server/security/permission.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/error_detail.h"

namespace evenkeel::security {
namespace {

using Role = v1::Identity::Role;

bool MayCall(Role::Kind role, Method method) {
  switch (role) {
    case Role::OPERATOR:
      return true;
    case Role::WORKER:
      return method == Method::kJoin || method == Method::kPush || method == Method::kHeartbeat ||
             method == Method::kLeave || method == Method::kRendezvous || method == Method::kGetState;
    case Role::READER:
      return method == Method::kListJobs || method == Method::kDescribeJob || method == Method::kGetHistory ||
             method == Method::kGetState || method == Method::kWatch;
    default:
      return false;
  }
}

}  // namespace

absl::string_view NameOf(Method method) {
  switch (method) {
    case Method::kJoin:
      return "Join";
    case Method::kPush:
      return "Push";
    case Method::kWatch:
      return "Watch";
    case Method::kHeartbeat:
      return "Heartbeat";
    case Method::kLeave:
      return "Leave";
    case Method::kGetState:
      return "GetState";
    case Method::kPutState:
      return "PutState";
    case Method::kUpdateConfig:
      return "UpdateConfig";
    case Method::kRendezvous:
      return "Rendezvous";
    case Method::kListJobs:
      return "ListJobs";
    case Method::kDescribeJob:
      return "DescribeJob";
    case Method::kGetHistory:
      return "GetHistory";
  }
  return "";
}

bool Matches(absl::string_view pattern, absl::string_view text) {
  // Where the last * is, and how much of the text it has taken so far: what follows it is tried again one later.
  size_t star = absl::string_view::npos;
  size_t taken = 0;
  size_t p = 0;
  for (size_t t = 0; t < text.size();) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != absl::string_view::npos) {
      p = star + 1;
      t = ++taken;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == absl::string_view::npos;
}

bool IsOneOfItsJobs(const v1::Identity& identity, absl::string_view job) {
  if (identity.role() == Role::OPERATOR && identity.jobs().empty()) return true;
  return std::any_of(identity.jobs().begin(), identity.jobs().end(),
                     [job](const std::string& pattern) { return Matches(pattern, job); });
}

absl::Status Decide(const v1::Identity& identity, Method method, absl::string_view job) {
  if (!MayCall(identity.role(), method)) {
    return ServiceError(absl::StatusCode::kPermissionDenied, v1::ErrorDetail::NOT_ALLOWED,
                        absl::StrCat("\"", identity.name(), "\" is a ", Role::Kind_Name(identity.role()),
                                     ", which may not call ", NameOf(method)));
  }
  if (method != Method::kListJobs && !IsOneOfItsJobs(identity, job)) {
    return ServiceError(absl::StatusCode::kPermissionDenied, v1::ErrorDetail::NOT_ALLOWED,
                        absl::StrCat("\"", absl::CHexEscape(job), "\" is no job of \"", identity.name(), "\""));
  }
  return absl::OkStatus();
}

}  // namespace evenkeel::security
