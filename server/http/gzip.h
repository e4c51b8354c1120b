#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace evenkeel::http {

// Whether the value of a header field Accept-Encoding takes gzip, by name: not where it is given the weight 0.
bool AcceptsGzip(absl::string_view accept_encoding);

// `text` as a gzip file (RFC 1952), made quickly rather than small. Pure, thread-safe.
std::string Gzip(absl::string_view text);

}  // namespace evenkeel::http
