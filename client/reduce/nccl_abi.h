#pragma once

#include <cstddef>

struct ncclComm;     // what a ncclComm_t points to
struct CUstream_st;  // what a cudaStream_t points to

// What nccl.h defines and is used here, by NCCL's public documentation: to build, NCCL is not needed.
namespace evenkeel::client {

using NcclComm = ncclComm*;

// What ncclGetUniqueId gives out.
struct NcclUniqueId {
  char bytes[128];
};

// The configuration of a communicator as NCCL 2.14 had it. Later ones are longer, and read no more than `size` bytes,
// and nothing that `version` did not have.
struct NcclConfig {
  size_t size = sizeof(NcclConfig);
  unsigned magic = 0xcafebeef;
  unsigned version = 2'14'00;
  int blocking = 0;  // 0: calls return before they are done
};

// ncclResult_t, ncclDataType_t and ncclRedOp_t, which are as wide as int.
namespace nccl {
inline constexpr int kSuccess = 0;
inline constexpr int kSystemError = 2;
inline constexpr int kInvalidArgument = 4;
inline constexpr int kInvalidUsage = 5;
inline constexpr int kRemoteError = 6;
inline constexpr int kInProgress = 7;

inline constexpr int kUint8 = 1;
inline constexpr int kUint64 = 5;
inline constexpr int kSum = 0;
}  // namespace nccl

}  // namespace evenkeel::client
