#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "evenkeel/v1/error_detail.pb.h"

namespace evenkeel {

// An error of the service: the code, the sentence, and the machine-readable reason as a payload of the
// status.
absl::Status ServiceError(absl::StatusCode code, const v1::ErrorDetail& detail, absl::string_view message);

// As above, where the job's step and epoch do not matter or are not known.
absl::Status ServiceError(absl::StatusCode code, v1::ErrorDetail::Reason reason, absl::string_view message);

// The detail that `status` carries; an empty one (REASON_UNSPECIFIED) when it carries none.
v1::ErrorDetail DetailOf(const absl::Status& status);

// Short for DetailOf(status).reason().
v1::ErrorDetail::Reason ReasonOf(const absl::Status& status);

}  // namespace evenkeel
