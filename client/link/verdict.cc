#include "client/link/verdict.h"

#include "base/error_detail.h"

namespace evenkeel::client {
namespace {

// Codes with which a transport says that something between here and there went wrong.
bool IsTransportFailure(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kResourceExhausted:
      return true;
    default:
      return false;
  }
}

}  // namespace

Verdict Judge(const absl::Status& error) {
  switch (error.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
      return Verdict::kRetry;
    default:
      break;
  }
  switch (ReasonOf(error)) {
    case v1::ErrorDetail::STALE_EPOCH:
    case v1::ErrorDetail::NOT_JOINED:
    case v1::ErrorDetail::JOB_UNKNOWN:
      return Verdict::kJoinAgain;
    case v1::ErrorDetail::EPOCH_AHEAD:
      return Verdict::kRetry;
    case v1::ErrorDetail::QUOTA_EXCEEDED:
      return DetailOf(error).retry_after_ms() > 0 ? Verdict::kRetry : Verdict::kFinal;
    case v1::ErrorDetail::REASON_UNSPECIFIED:
      return IsTransportFailure(error.code()) ? Verdict::kRetry : Verdict::kFinal;
    default:
      return Verdict::kFinal;
  }
}

}  // namespace evenkeel::client
