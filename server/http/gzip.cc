#include "server/http/gzip.h"

#include <zlib.h>

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/check.h"

namespace evenkeel::http {
namespace {

// zlib's number for a gzip header and trailer around a window of 32 KiB.
constexpr int kGzipWindow = 15 + 16;
constexpr int kMemoryLevel = 8;

// Of one coding and its parameters: "gzip;q=0.5".
bool IsGzipAndWanted(absl::string_view coding) {
  const std::vector<absl::string_view> parts = absl::StrSplit(coding, ';');
  if (!absl::EqualsIgnoreCase(absl::StripAsciiWhitespace(parts[0]), "gzip")) return false;
  for (size_t i = 1; i < parts.size(); ++i) {
    absl::string_view parameter = absl::StripAsciiWhitespace(parts[i]);
    double weight = 1;
    if (absl::ConsumePrefix(&parameter, "q=") && absl::SimpleAtod(parameter, &weight) && weight == 0) return false;
  }
  return true;
}

}  // namespace

bool AcceptsGzip(absl::string_view accept_encoding) {
  for (const absl::string_view coding : absl::StrSplit(accept_encoding, ',')) {
    if (IsGzipAndWanted(coding)) return true;
  }
  return false;
}

std::string Gzip(absl::string_view text) {
  z_stream stream = {};
  EVENKEEL_CHECK(deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kGzipWindow, kMemoryLevel, Z_DEFAULT_STRATEGY) ==
                 Z_OK);
  std::string packed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  EVENKEEL_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

}  // namespace evenkeel::http
