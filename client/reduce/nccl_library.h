#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/reduce/nccl_abi.h"

namespace evenkeel::client {

// The oldest that is used. 2.14 has communicators that do not block. Before 2.18.3 a sum could come out wrong (its
// notes: "data corruption with Tree/LL128"), and up to 2.18 ncclCommAbort, which is how a lost rank is left, could hang
// in a process that aborts on several threads, as a trainer and Evenkeel may.
inline constexpr int kOldestNccl = 2'19'01;

// "2.19.1"
std::string NcclVersionName(int version);

// libnccl, as it was found when the program ran: exactly the functions that are used, by NCCL's public documentation,
// named as there but for the "nccl". It stays open until the process ends.
struct NcclLibrary {
  std::string path;
  int version = 0;

  int (*GetVersion)(int* version);
  int (*GetUniqueId)(NcclUniqueId* id);
  int (*CommInitRankConfig)(NcclComm* comm, int size, NcclUniqueId id, int rank, NcclConfig* config);
  int (*CommCount)(NcclComm comm, int* count);
  int (*CommUserRank)(NcclComm comm, int* rank);
  int (*CommGetAsyncError)(NcclComm comm, int* error);
  int (*CommFinalize)(NcclComm comm);
  int (*CommDestroy)(NcclComm comm);
  int (*CommAbort)(NcclComm comm);
  int (*AllReduce)(const void* from, void* to, size_t count, int type, int op, NcclComm comm, CUstream_st* stream);
  int (*Broadcast)(const void* from, void* to, size_t count, int type, int root, NcclComm comm, CUstream_st* stream);
  const char* (*GetErrorString)(int result);
  const char* (*GetLastError)(NcclComm comm);

  // OK for kSuccess and kInProgress; else `call` with NCCL's words: UNAVAILABLE for a rank or a connection that is
  // lost, FAILED_PRECONDITION for a use that NCCL refuses (two ranks on one GPU), INTERNAL for the rest.
  absl::Status Checked(absl::string_view call, int result) const;
};

// Opens libnccl: the file that the environment's EVENKEEL_NCCL_LIBRARY names, and no other, if it names one; else the
// loader's libnccl.so.2, which is the one that the process has loaded already, as PyTorch brings its own, or one of the
// machine's; else that of the CUDA installation: in lib64 of $CUDA_PATH, of $CUDA_HOME and of /usr/local/cuda, and in
// /usr/lib/x86_64-linux-gnu.
//   NOT_FOUND            there is none; with every place, and the loader's reason
//   FAILED_PRECONDITION  it is older than kOldestNccl, or lacks a function, which is named
absl::StatusOr<std::unique_ptr<const NcclLibrary>> OpenNccl();

}  // namespace evenkeel::client
