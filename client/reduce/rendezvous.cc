#include "client/reduce/rendezvous.h"

#include "absl/strings/str_cat.h"

namespace evenkeel::client {

absl::Status CheckRendezvousValue(const std::string& value) {
  if (value.size() <= kMaxRendezvousValue) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the value has ", value.size(), " bytes; at a rendezvous it has at most ", kMaxRendezvousValue));
}

absl::Status CheckMembership(int rank, int size, std::chrono::milliseconds timeout) {
  if (size < 1 || rank < 0 || rank >= size) {
    return absl::InvalidArgumentError(absl::StrCat("rank ", rank, " must lie in 0 .. size - 1, and size is ", size));
  }
  if (timeout < std::chrono::milliseconds(1)) {
    return absl::InvalidArgumentError(absl::StrCat("timeout ", timeout.count(), " ms must be at least 1 ms"));
  }
  return absl::OkStatus();
}

}  // namespace evenkeel::client
