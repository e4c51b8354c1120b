#include "client/reduce/rendezvous.h"

#include "absl/strings/str_cat.h"

namespace evenkeel::client {

absl::Status CheckRendezvousValue(const std::string& value) {
  if (value.size() <= kMaxRendezvousValue) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the value has ", value.size(), " bytes; at a rendezvous it has at most ", kMaxRendezvousValue));
}

}  // namespace evenkeel::client
