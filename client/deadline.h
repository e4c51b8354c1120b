#pragma once

#include <chrono>

namespace evenkeel::client {

// When a wait ends, at the latest: no change of the wall clock moves it.
using Deadline = std::chrono::steady_clock::time_point;

}  // namespace evenkeel::client
