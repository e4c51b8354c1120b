#include "base/message_json.h"

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"

namespace evenkeel {

absl::StatusOr<std::string> MessageJson(const google::protobuf::Message& message, JsonLayout layout) {
  google::protobuf::util::JsonPrintOptions print;
  print.add_whitespace = layout == JsonLayout::kLines;
  print.always_print_primitive_fields = true;
  print.preserve_proto_field_names = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, print);
  if (!status.ok()) return absl::InternalError(absl::StrCat("the answer is not JSON: ", status.ToString()));
  return text;
}

}  // namespace evenkeel
