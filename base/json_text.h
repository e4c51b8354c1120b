#pragma once

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"

// Pieces of JSON, for what no message is there for. Pure, thread-safe.
namespace evenkeel {

// UTF-8 in double quotes, escaped.
std::string JsonString(absl::string_view text);

// The shortest text that is read as this number again; null for one that is not finite, which JSON does not have.
std::string JsonNumber(double value);
// The same of a float32: shorter.
std::string JsonFloat(float value);

// "[...]" of what `to_json` makes of each.
template <typename Values, typename ToJson>
std::string JsonList(const Values& values, const ToJson& to_json) {
  const auto append = [&](std::string* out, const auto& value) { absl::StrAppend(out, to_json(value)); };
  return absl::StrCat("[", absl::StrJoin(values, ", ", append), "]");
}

}  // namespace evenkeel
