#pragma once

namespace evenkeel::client {

// Where tests find the double of libnccl (fake_nccl.cc), from the folder that Bazel runs them in: what
// EVENKEEL_NCCL_LIBRARY is to name.
inline constexpr char kFakeNcclPath[] = "client/reduce/libnccl.so.2";

}  // namespace evenkeel::client
