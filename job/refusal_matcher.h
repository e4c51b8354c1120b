#pragma once

#include <string>

#include "base/error_detail.h"
#include "gmock/gmock.h"

namespace evenkeel::job {

// Matches a status of that code, with that reason and a message that holds `sentence`.
MATCHER_P3(IsRefusal, code, reason, sentence, "") {
  const absl::Status& status = arg;
  *result_listener << "with reason " << v1::ErrorDetail::Reason_Name(ReasonOf(status));
  return status.code() == code && ReasonOf(status) == reason &&
         std::string(status.message()).find(sentence) != std::string::npos;
}

}  // namespace evenkeel::job
