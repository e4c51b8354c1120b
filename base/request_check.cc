#include "base/request_check.h"

#include <chrono>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error_detail.h"
#include "base/status_macros.h"
#include "google/protobuf/unknown_field_set.h"

namespace evenkeel {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::UnknownFieldSet;

absl::Status CheckUnknownFields(const Message& message) {
  const Reflection* reflection = message.GetReflection();
  const UnknownFieldSet& unknown = reflection->GetUnknownFields(message);
  if (!unknown.empty()) {
    return ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD,
                        absl::StrCat("field ", unknown.field(0).number(), " of ", message.GetTypeName(),
                                     " is not known here; is the client newer?"));
  }
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      EVENKEEL_RETURN_IF_ERROR(CheckUnknownFields(reflection->GetMessage(message, field)));
      continue;
    }
    for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
      EVENKEEL_RETURN_IF_ERROR(CheckUnknownFields(reflection->GetRepeatedMessage(message, field, i)));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckRequest(const grpc::ServerContextBase& context, const Message& request) {
  if (context.deadline() == std::chrono::system_clock::time_point::max()) {
    return ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::DEADLINE_REQUIRED,
                        "the call has no deadline; set one");
  }
  return CheckUnknownFields(request);
}

}  // namespace evenkeel
