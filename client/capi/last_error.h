#pragma once

#include <cstdint>
#include <exception>
#include <new>

#include "absl/status/status.h"

// What a call of the C ABI leaves behind: a code, and a sentence for the thread that called.
namespace evenkeel::client {

// Keeps the status's message for LastError, in memory that the thread has from its beginning, and answers the code.
int32_t Report(const absl::Status& status);

// The message of the thread's last Report; "" for OK, and before the first.
const char* LastError();

// Reports what `call`, a function without arguments, answers. An exception out of it becomes a status, too.
template <typename Call>
int32_t Guarded(Call call) {
  try {
    return Report(call());
  } catch (const std::bad_alloc&) {
    return Report(absl::ResourceExhaustedError("out of memory"));
  } catch (const std::exception& exception) {
    return Report(absl::InternalError(exception.what()));
  } catch (...) {
    return Report(absl::InternalError("an exception of an unknown type"));
  }
}

}  // namespace evenkeel::client
