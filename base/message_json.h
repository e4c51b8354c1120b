#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "google/protobuf/message.h"

namespace evenkeel {

enum class JsonLayout { kLines, kCompact };

// What a coordinator answered as JSON, for scripts: field names as in the protocol, fields without a value too; 64-bit
// numbers are strings, as in all protobuf JSON.
absl::StatusOr<std::string> MessageJson(const google::protobuf::Message& message,
                                        JsonLayout layout = JsonLayout::kLines);

}  // namespace evenkeel
