#include "tools/flags.h"

#include <cstddef>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace evenkeel::tools {
namespace {

std::string Names(absl::Span<const Flag> flags) {
  return absl::StrJoin(flags, ", ", [](std::string* out, const Flag& flag) { absl::StrAppend(out, "--", flag.name); });
}

const Flag* Find(absl::Span<const Flag> flags, absl::string_view name) {
  for (const Flag& flag : flags) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

absl::Status Refused(const Flag& flag, absl::string_view value, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("--", flag.name, ": \"", value, "\" ", why));
}

absl::Status SetValue(const Flag& flag, const std::string& text) {
  if (text.empty()) return Refused(flag, text, "is empty");
  if (auto* const* value = std::get_if<std::string*>(&flag.value)) {
    **value = text;
  } else if (auto* const* value = std::get_if<std::optional<int>*>(&flag.value)) {
    if (!absl::SimpleAtoi(text, &(*value)->emplace())) return Refused(flag, text, "is not an integer");
  } else if (auto* const* value = std::get_if<std::optional<double>*>(&flag.value)) {
    if (!absl::SimpleAtod(text, &(*value)->emplace())) return Refused(flag, text, "is not a number");
  } else if (auto* const* value = std::get_if<std::vector<std::string>*>(&flag.value)) {
    (*value)->push_back(text);
  } else if (!absl::SimpleAtod(text, std::get<double*>(flag.value))) {
    return Refused(flag, text, "is not a number");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ParseFlags(absl::Span<const std::string> args, absl::Span<const Flag> flags) {
  absl::flat_hash_set<const Flag*> given;
  for (size_t i = 0; i < args.size(); ++i) {
    absl::string_view word = args[i];
    if (!absl::ConsumePrefix(&word, "--")) {
      return absl::InvalidArgumentError(absl::StrCat("unexpected argument \"", args[i], "\""));
    }
    const size_t equals = word.find('=');
    const Flag* flag = Find(flags, word.substr(0, equals));
    if (flag == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown flag --", word.substr(0, equals), "; the flags are ", Names(flags)));
    }
    if (!given.insert(flag).second && !std::holds_alternative<std::vector<std::string>*>(flag->value)) {
      return absl::InvalidArgumentError(absl::StrCat("--", flag->name, " is given twice"));
    }
    if (bool* const* is_set = std::get_if<bool*>(&flag->value)) {
      if (equals != absl::string_view::npos) return Refused(*flag, word.substr(equals + 1), "where no value belongs");
      **is_set = true;
    } else if (equals != absl::string_view::npos) {
      EVENKEEL_RETURN_IF_ERROR(SetValue(*flag, std::string(word.substr(equals + 1))));
    } else if (i + 1 < args.size() && !absl::StartsWith(args[i + 1], "--")) {
      EVENKEEL_RETURN_IF_ERROR(SetValue(*flag, args[++i]));
    } else {
      return absl::InvalidArgumentError(absl::StrCat("--", flag->name, " needs a value"));
    }
  }
  for (const Flag& flag : flags) {
    if (flag.is_required && !given.contains(&flag)) {
      return absl::InvalidArgumentError(absl::StrCat("--", flag.name, " is required"));
    }
  }
  return absl::OkStatus();
}

}  // namespace evenkeel::tools
