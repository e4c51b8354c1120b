#pragma once

// The benchmark's device on the host, beside plain_device.cc, with a clock of its own: a recorded event takes a
// microsecond, an empty kernel two, a copy, which copies nothing, a thousand, and nothing else takes time. The
// two-kernel router is the reference, but swaps the first two ids of the first row, so that a row differs. The balance
// update says of every layer that it moved, and does nothing else.
namespace evenkeel::benchmarks {

inline constexpr double kPlainEventMicroseconds = 1;
inline constexpr double kPlainNothingMicroseconds = 2;
inline constexpr double kPlainCopyMicroseconds = 1000;

}  // namespace evenkeel::benchmarks
