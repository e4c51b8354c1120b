#pragma once

#include <chrono>

namespace evenkeel::step_benchmark {

// What `body` takes the calling thread.
template <typename Body>
double Microseconds(const Body& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace evenkeel::step_benchmark
