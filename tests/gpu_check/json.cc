#include "tests/gpu_check/json.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace evenkeel::gpu_check {

std::string JsonString(absl::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(&quoted, "\\u%04x", static_cast<unsigned char>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string JsonObject(const std::vector<std::pair<std::string, std::string>>& fields) {
  return absl::StrCat("{",
                      absl::StrJoin(fields, ", ",
                                    [](std::string* out, const std::pair<std::string, std::string>& field) {
                                      absl::StrAppend(out, JsonString(field.first), ": ", field.second);
                                    }),
                      "}");
}

std::string JsonArray(const std::vector<std::string>& values) {
  return values.empty() ? "[]" : absl::StrCat("[\n  ", absl::StrJoin(values, ",\n  "), "\n]");
}

}  // namespace evenkeel::gpu_check
