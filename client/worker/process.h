#pragma once

#include <cstdint>

#include "evenkeel/v1/job.pb.h"

namespace evenkeel::client {

// Of this library.
inline constexpr char kLibraryVersion[] = "0.1.0";

// A number that names one life of one worker: random, from the kernel, never 0. Forked processes get different ones.
uint64_t NewIncarnation();

// Hostname, process id and library version of this process.
v1::WorkerInfo DescribeProcess();

}  // namespace evenkeel::client
