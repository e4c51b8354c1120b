#include "tools/safetensors/json_reader.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "config/utf8.h"

namespace evenkeel::tools {
namespace {

bool IsJsonSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

void AppendUtf8(uint32_t code, std::string* out) {
  const auto tail = [code](int shift) { return static_cast<char>(0x80 | ((code >> shift) & 0x3f)); };
  if (code < 0x80) {
    out->push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out->append({static_cast<char>(0xc0 | (code >> 6)), tail(0)});
  } else if (code < 0x10000) {
    out->append({static_cast<char>(0xe0 | (code >> 12)), tail(6), tail(0)});
  } else {
    out->append({static_cast<char>(0xf0 | (code >> 18)), tail(12), tail(6), tail(0)});
  }
}

}  // namespace

bool JsonReader::Take(char c) {
  while (!rest_.empty() && IsJsonSpace(rest_.front())) rest_.remove_prefix(1);
  if (rest_.empty() || rest_.front() != c) return false;
  rest_.remove_prefix(1);
  return true;
}

absl::Status JsonReader::Expect(char c) {
  if (Take(c)) return absl::OkStatus();
  return Unexpected(absl::StrCat("'", std::string(1, c), "'"));
}

absl::Status JsonReader::ExpectEnd() {
  while (!rest_.empty() && IsJsonSpace(rest_.front())) rest_.remove_prefix(1);
  return rest_.empty() ? absl::OkStatus() : Unexpected("the end");
}

absl::StatusOr<std::string> JsonReader::String() {
  if (!Take('"')) return Unexpected("a string");
  std::string value;
  while (!rest_.empty() && rest_.front() != '"') {
    const char c = rest_.front();
    if (static_cast<unsigned char>(c) < 0x20) return Unexpected("the end of a string");
    rest_.remove_prefix(1);
    if (c == '\\') {
      EVENKEEL_RETURN_IF_ERROR(TakeEscape(&value));
    } else {
      value.push_back(c);
    }
  }
  if (rest_.empty()) return Unexpected("the end of a string");
  rest_.remove_prefix(1);
  if (!config::IsUtf8(value)) return Unexpected("a string in UTF-8");
  return value;
}

absl::StatusOr<int64_t> JsonReader::Integer() {
  while (!rest_.empty() && IsJsonSpace(rest_.front())) rest_.remove_prefix(1);
  size_t size = 0;
  while (size < rest_.size() && absl::ascii_isdigit(rest_[size])) ++size;
  const absl::string_view digits = rest_.substr(0, size);
  int64_t value = 0;
  const bool has_leading_zero = size > 1 && digits.front() == '0';
  if (has_leading_zero || !absl::SimpleAtoi(digits, &value)) return Unexpected("an integer from 0 to 2^63 - 1");
  rest_.remove_prefix(size);
  return value;
}

absl::Status JsonReader::TakeEscape(std::string* out) {
  constexpr absl::string_view kNames = "\"\\/bfnrt";
  constexpr absl::string_view kValues = "\"\\/\b\f\n\r\t";
  const char name = rest_.empty() ? '\0' : rest_.front();
  if (const size_t place = kNames.find(name); place != absl::string_view::npos) {
    rest_.remove_prefix(1);
    out->push_back(kValues[place]);
    return absl::OkStatus();
  }
  if (name != 'u') return Unexpected("an escape");
  EVENKEEL_ASSIGN_OR_RETURN(uint32_t code, TakeHex4());
  if (code >= 0xd800 && code < 0xdc00) {
    const bool has_second = rest_.substr(0, 2) == "\\u";
    if (!has_second) return Unexpected("the second half of a surrogate pair");
    rest_.remove_prefix(1);
    EVENKEEL_ASSIGN_OR_RETURN(const uint32_t low, TakeHex4());
    if (low < 0xdc00 || low > 0xdfff) return Unexpected("the second half of a surrogate pair");
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  }
  // A second half alone makes no UTF-8, which String() refuses.
  AppendUtf8(code, out);
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> JsonReader::TakeHex4() {
  const absl::string_view digits = rest_.substr(1, 4);  // after the 'u'
  uint32_t code = 0;
  for (const char digit : digits) {
    if (!absl::ascii_isxdigit(digit)) return Unexpected("four hexadecimal digits");
    code = code * 16 + (absl::ascii_isdigit(digit) ? digit - '0' : absl::ascii_tolower(digit) - 'a' + 10);
  }
  if (digits.size() < 4) return Unexpected("four hexadecimal digits");
  rest_.remove_prefix(5);
  return code;
}

absl::Status JsonReader::Unexpected(absl::string_view wanted) const {
  constexpr size_t kMaxShown = 40;
  return absl::InvalidArgumentError(absl::StrCat("header: ", wanted, " is missing at byte ",
                                                 text_.size() - rest_.size(), ", before \"",
                                                 absl::CHexEscape(rest_.substr(0, kMaxShown)), "\""));
}

}  // namespace evenkeel::tools
