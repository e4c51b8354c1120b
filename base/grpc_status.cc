#include "base/grpc_status.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/error_detail.h"
#include "evenkeel/v1/error_detail.pb.h"

namespace evenkeel {
namespace {

// Messages quote what the caller sent, and travel twice in headers that hold 8 KB.
constexpr size_t kMaxMessageBytes = 1024;

std::string Shortened(absl::string_view message) {
  if (message.size() <= kMaxMessageBytes) return std::string(message);
  return absl::StrCat(message.substr(0, kMaxMessageBytes), "...");
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) {
    return grpc::Status::OK;
  }
  const std::string message = Shortened(status.message());
  v1::StatusDetails details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(message);
  details.add_details()->PackFrom(DetailOf(status));
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), message, details.SerializeAsString());
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) {
    return absl::OkStatus();
  }
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  v1::StatusDetails details;
  v1::ErrorDetail detail;
  const bool has_detail = details.ParseFromString(status.error_details()) && details.details_size() > 0 &&
                          details.details(0).UnpackTo(&detail);
  return has_detail ? ServiceError(code, detail, status.error_message()) : absl::Status(code, status.error_message());
}

}  // namespace evenkeel
