#include "config/number_text.h"

#include <cstddef>
#include <optional>
#include <string>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/charconv.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace evenkeel::config {
namespace {

// The parts of a number, as views of its text.
struct Decimal {
  bool negative = false;
  absl::string_view whole;
  absl::string_view fraction;  // empty without one
  absl::string_view exponent;  // with its sign; empty without one
};

absl::string_view TakeDigits(absl::string_view* text) {
  size_t size = 0;
  while (size < text->size() && absl::ascii_isdigit((*text)[size])) ++size;
  const absl::string_view digits = text->substr(0, size);
  text->remove_prefix(size);
  return digits;
}

std::optional<Decimal> Split(absl::string_view text) {
  Decimal decimal;
  decimal.negative = absl::ConsumePrefix(&text, "-");
  decimal.whole = TakeDigits(&text);
  if (decimal.whole.empty() || (decimal.whole.size() > 1 && decimal.whole[0] == '0')) return std::nullopt;
  if (absl::ConsumePrefix(&text, ".")) {
    decimal.fraction = TakeDigits(&text);
    if (decimal.fraction.empty()) return std::nullopt;
  }
  if (absl::ConsumePrefix(&text, "e") || absl::ConsumePrefix(&text, "E")) {
    decimal.exponent = text;
    if (!absl::ConsumePrefix(&text, "-")) absl::ConsumePrefix(&text, "+");
    if (TakeDigits(&text).empty()) return std::nullopt;
  }
  return text.empty() ? std::optional<Decimal>(decimal) : std::nullopt;
}

// The digits of an integral number, with its sign: "1.5e3" is "1500". Nothing for a fraction. Numbers far outside of
// 64 bits come back as digits that do not fit, too.
std::optional<std::string> IntegralDigits(const Decimal& decimal) {
  constexpr int kMoreDigitsThanFit = 24;
  std::string digits = absl::StrCat(decimal.whole, decimal.fraction);
  digits.erase(0, digits.find_first_not_of('0'));
  if (digits.empty()) return "0";
  const size_t trailing_zeros = digits.size() - 1 - digits.find_last_not_of('0');
  digits.resize(digits.size() - trailing_zeros);

  // An exponent that does not fit is absurd: the text is too short to make up for it.
  int32_t given = 0;
  if (!decimal.exponent.empty() && !absl::SimpleAtoi(decimal.exponent, &given)) {
    given = decimal.exponent[0] == '-' ? INT32_MIN : INT32_MAX;
  }
  const int64_t exponent = given + static_cast<int64_t>(trailing_zeros) - static_cast<int64_t>(decimal.fraction.size());
  if (exponent < 0) return std::nullopt;
  digits.append(exponent < kMoreDigitsThanFit ? exponent : kMoreDigitsThanFit, '0');
  return absl::StrCat(decimal.negative ? "-" : "", digits);
}

absl::Status Refused(absl::string_view why) { return absl::InvalidArgumentError(why); }

// .nan, NaN, -Infinity, +.INF and their like.
bool IsNotFinite(absl::string_view text) {
  if (!absl::ConsumePrefix(&text, "-")) absl::ConsumePrefix(&text, "+");
  absl::ConsumePrefix(&text, ".");
  const std::string word = absl::AsciiStrToLower(text);
  return word == "nan" || word == "inf" || word == "infinity";
}

template <typename Integer>
absl::Status ParseIntegerOf(absl::string_view text, absl::string_view type, Integer* value) {
  const std::optional<Decimal> decimal = Split(text);
  const std::optional<std::string> digits = decimal.has_value() ? IntegralDigits(*decimal) : std::nullopt;
  if (!digits.has_value()) return Refused("is not an integer");
  Integer parsed = 0;
  if (!absl::SimpleAtoi(*digits, &parsed)) return Refused(absl::StrCat("is out of the range of ", type));
  *value = parsed;
  return absl::OkStatus();
}

template <typename Float>
absl::Status ParseFloatOf(absl::string_view text, absl::string_view type, Float* value) {
  if (IsNotFinite(text)) return Refused("is not a finite number");
  if (!IsNumber(text)) return Refused("is not a number");
  Float parsed = 0;
  const absl::from_chars_result result = absl::from_chars(text.data(), text.data() + text.size(), parsed);
  if (result.ec != std::errc()) return Refused(absl::StrCat("is out of the range of ", type));
  *value = parsed;
  return absl::OkStatus();
}

}  // namespace

bool IsNumber(absl::string_view text) { return Split(text).has_value(); }

absl::Status ParseInteger(absl::string_view text, int32_t* value) { return ParseIntegerOf(text, "int32", value); }
absl::Status ParseInteger(absl::string_view text, int64_t* value) { return ParseIntegerOf(text, "int64", value); }
absl::Status ParseInteger(absl::string_view text, uint32_t* value) { return ParseIntegerOf(text, "uint32", value); }
absl::Status ParseInteger(absl::string_view text, uint64_t* value) { return ParseIntegerOf(text, "uint64", value); }

absl::Status ParseFloat(absl::string_view text, float* value) { return ParseFloatOf(text, "float32", value); }
absl::Status ParseFloat(absl::string_view text, double* value) { return ParseFloatOf(text, "float64", value); }

}  // namespace evenkeel::config
