#include "base/error_detail.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/types/optional.h"

namespace evenkeel {
namespace {

constexpr absl::string_view kPayloadUrl = "type.googleapis.com/evenkeel.v1.ErrorDetail";

}  // namespace

absl::Status ServiceError(absl::StatusCode code, const v1::ErrorDetail& detail, absl::string_view message) {
  absl::Status status(code, message);
  status.SetPayload(kPayloadUrl, absl::Cord(detail.SerializeAsString()));
  return status;
}

absl::Status ServiceError(absl::StatusCode code, v1::ErrorDetail::Reason reason, absl::string_view message) {
  v1::ErrorDetail detail;
  detail.set_reason(reason);
  return ServiceError(code, detail, message);
}

v1::ErrorDetail DetailOf(const absl::Status& status) {
  v1::ErrorDetail detail;
  const absl::optional<absl::Cord> payload = status.GetPayload(kPayloadUrl);
  if (!payload.has_value() || !detail.ParseFromString(std::string(*payload))) {
    return v1::ErrorDetail();
  }
  return detail;
}

v1::ErrorDetail::Reason ReasonOf(const absl::Status& status) { return DetailOf(status).reason(); }

}  // namespace evenkeel
