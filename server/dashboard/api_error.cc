#include "server/dashboard/api_error.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/error_detail.h"
#include "base/json_text.h"

namespace evenkeel::dashboard {
namespace {

int HttpStatusOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kFailedPrecondition:
      return 409;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnimplemented:
      return 501;
    case absl::StatusCode::kUnavailable:
      return 503;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    default:
      return 500;
  }
}

}  // namespace

http::Response ErrorResponse(const absl::Status& status) {
  const v1::ErrorDetail detail = DetailOf(status);
  http::Response response;
  response.status = HttpStatusOf(status.code());
  response.type = kJson;
  response.body = absl::StrCat("{\"code\":", JsonString(absl::StatusCodeToString(status.code())),
                               ",\"reason\":", JsonString(v1::ErrorDetail::Reason_Name(detail.reason())),
                               ",\"message\":", JsonString(status.message()), "}");
  if (response.status == 401) response.fields.push_back({"WWW-Authenticate", "Bearer"});
  if (detail.retry_after_ms() > 0) {
    response.fields.push_back({"Retry-After", absl::StrCat((detail.retry_after_ms() + 999) / 1000)});
  }
  return response;
}

}  // namespace evenkeel::dashboard
