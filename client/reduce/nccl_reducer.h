#pragma once

#include <chrono>
#include <memory>

#include "absl/status/statusor.h"
#include "client/device/device_runtime.h"
#include "client/reduce/device_reducer.h"
#include "client/reduce/nccl_library.h"
#include "client/reduce/rendezvous.h"

namespace evenkeel::client {

// Several communicators on one GPU wait for each other for ever where two GPUs run their collectives in different
// orders: NCCL asks for one order of all collectives on all GPUs, made by streams that wait for each other, or, from
// 2.26 on and with NCCL_LAUNCH_ORDER_IMPLICIT=1 in the environment, by the order in which the host launches them. So
// EnqueueSum and EnqueueBroadcast are called at the same place among the trainer's own collectives on every rank, on
// the thread that launches those, and, without that variable, on a stream that waits for the ones before it and that
// the ones after it wait for.

struct NcclOptions {
  int rank = 0;
  int size = 1;
  // How long a rank waits for the others: for all to meet, then for all to connect; and, when a call is the first of
  // its kind or size, for NCCL to connect what it needs for it.
  std::chrono::milliseconds timeout{600'000};
};

// Ranks that reduce by NCCL, each on its GPU: that of `runtime`, which, as `library`, outlives the reducer. The group
// meets at `rendezvous` (not used afterwards, and not at all where size is 1), and only its own ranks do: groups are
// made independently of each other. Nothing waits for longer than `timeout`; whoever gave up has left the communicator.
//   UNAVAILABLE         a rank, or a connection, was lost
//   DEADLINE_EXCEEDED   a rank did not come, or not connect, in time
//   INVALID_ARGUMENT    rank outside of 0 .. size - 1; a timeout below 1 ms
//   others              of Rendezvous::Exchange and NcclLibrary::Checked
//
// Calls of EnqueueSum and EnqueueBroadcast come back once it is enqueued, which takes no other rank but where NCCL
// first has to connect: then at most `timeout`, and DEADLINE_EXCEEDED. Where sizes differ, NCCL promises nothing:
// neither an end nor a sum.
//
// Abort waits for the call to NCCL that is in progress, which waits for nothing, and not for what it enqueued; a second
// one does nothing. The destructor ends the communicator together with the other ranks, or, where they do not end
// theirs within ten seconds (or `timeout`, if that is shorter), alone; what is enqueued must have run, or Abort been
// called.
absl::StatusOr<std::unique_ptr<DeviceReducer>> MakeNcclReducer(const NcclOptions& options, const NcclLibrary& library,
                                                               DeviceRuntime* runtime, Rendezvous* rendezvous);

// Reduces by a communicator that is there already, and made by the same libnccl. It stays its owner's, who keeps it for
// longer than the reducer, and who does not call NCCL with it while the reducer does. Abort takes nothing from it:
// calls that come later get CANCELLED, and what is enqueued is its owner's to abort.
//   INVALID_ARGUMENT  `comm` is null; or its rank or size is not that of `options`, which are named
absl::StatusOr<std::unique_ptr<DeviceReducer>> AdoptNcclReducer(NcclComm comm, const NcclOptions& options,
                                                                const NcclLibrary& library);

}  // namespace evenkeel::client
