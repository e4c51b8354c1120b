#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace evenkeel::security {

// SHA-256 of a token, which is all that a coordinator keeps of it. A token is 256 random bits, so nobody finds one by
// trying: the slow, salted hashes that guessable passwords need would only cost every call its time.
using TokenHash = std::array<uint8_t, 32>;

// A new token: 64 hexadecimal digits of the system's randomness.
std::string NewToken();

TokenHash HashOf(absl::string_view token);

// Compares in a time that does not depend on what the hashes hold.
bool SameHash(const TokenHash& a, const TokenHash& b);

std::string HexOf(const TokenHash& hash);
// INVALID_ARGUMENT unless `text` is 64 hexadecimal digits.
absl::StatusOr<TokenHash> HashFromHex(absl::string_view text);

}  // namespace evenkeel::security
