#include "server/security/token.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace evenkeel::security {
namespace {

std::string Hex(const uint8_t* bytes, size_t size) {
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(bytes), size));
}

}  // namespace

std::string NewToken() {
  uint8_t bytes[32];
  EVENKEEL_CHECK(RAND_bytes(bytes, sizeof(bytes)) == 1);
  return Hex(bytes, sizeof(bytes));
}

TokenHash HashOf(absl::string_view token) {
  static_assert(std::tuple_size<TokenHash>::value == SHA256_DIGEST_LENGTH);
  TokenHash hash;
  SHA256(reinterpret_cast<const uint8_t*>(token.data()), token.size(), hash.data());
  return hash;
}

bool SameHash(const TokenHash& a, const TokenHash& b) { return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0; }

std::string HexOf(const TokenHash& hash) { return Hex(hash.data(), hash.size()); }

absl::StatusOr<TokenHash> HashFromHex(absl::string_view text) {
  TokenHash hash;
  if (text.size() != 2 * hash.size() || !std::all_of(text.begin(), text.end(), absl::ascii_isxdigit)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", absl::CHexEscape(text), "\" is not 64 hexadecimal digits; evenkeel token prints them"));
  }
  const std::string bytes = absl::HexStringToBytes(text);
  std::copy(bytes.begin(), bytes.end(), hash.begin());
  return hash;
}

}  // namespace evenkeel::security
