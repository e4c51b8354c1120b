#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "evenkeel/v1/coordinator_config.pb.h"

namespace evenkeel::security {

// What the files of a v1::Tls hold, as PEM.
struct Certificates {
  std::string chain;
  std::string private_key;
  std::string client_ca;  // empty: clients need no certificate

  bool operator==(const Certificates& other) const {
    return chain == other.chain && private_key == other.private_key && client_ca == other.client_ca;
  }
};

// Reads the files and sees that TLS can be had with them: INVALID_ARGUMENT, naming field and path, for one that holds
// no certificate, or no key; for a key that is not the certificate's; and for a certificate that has expired. Also the
// errors of reading.
absl::StatusOr<Certificates> ReadCertificates(const v1::Tls& tls);

}  // namespace evenkeel::security
