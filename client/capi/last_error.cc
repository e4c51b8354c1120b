#include "client/capi/last_error.h"

#include <algorithm>

#include "absl/strings/string_view.h"

namespace evenkeel::client {
namespace {

// So long a sentence is nobody's; the end of a longer one is left out.
constexpr size_t kLongestMessage = 4095;

thread_local char last_error[kLongestMessage + 1] = "";

}  // namespace

int32_t Report(const absl::Status& status) {
  const absl::string_view message = status.message();
  const size_t length = std::min(message.size(), kLongestMessage);
  std::copy_n(message.data(), length, last_error);
  last_error[length] = '\0';
  // A zero byte, which a peer may have put into a message, would end it.
  std::replace(last_error, last_error + length, '\0', ' ');
  return static_cast<int32_t>(status.code());
}

const char* LastError() { return last_error; }

}  // namespace evenkeel::client
