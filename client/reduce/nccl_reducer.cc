#include "client/reduce/nccl_reducer.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "client/polling.h"

namespace evenkeel::client {
namespace {

Deadline Now() { return std::chrono::steady_clock::now(); }

// How long the destructor waits for other ranks that end, too.
constexpr std::chrono::seconds kFarewell(10);

absl::Status Aborted() { return absl::CancelledError("the reduction was aborted"); }

class NcclReducer final : public DeviceReducer {
 public:
  // With `own`, the communicator is the reducer's to end.
  NcclReducer(NcclComm comm, bool own, const NcclOptions& options, const NcclLibrary& library)
      : comm_(comm), own_(own), options_(options), library_(library) {}

  ~NcclReducer() override {
    if (!own_ || aborted_) return;
    const Deadline deadline = Now() + std::min<std::chrono::milliseconds>(options_.timeout, kFarewell);
    const absl::Status ended = Call("ncclCommFinalize", deadline, [this] { return library_.CommFinalize(comm_); });
    if (!ended.ok()) {
      Abort();
    } else {
      library_.CommDestroy(comm_);
    }
  }

  int rank() const override { return options_.rank; }
  int size() const override { return options_.size; }

  absl::Status EnqueueSum(uint64_t* values, size_t count, DeviceStream stream) override {
    if (count == 0) return Health();
    return Call("ncclAllReduce", Now() + options_.timeout,
                [&] { return library_.AllReduce(values, values, count, nccl::kUint64, nccl::kSum, comm_, stream); });
  }

  absl::Status EnqueueBroadcast(void* bytes, size_t size, DeviceStream stream) override {
    if (size == 0) return Health();
    return Call("ncclBroadcast", Now() + options_.timeout,
                [&] { return library_.Broadcast(bytes, bytes, size, nccl::kUint8, /*root=*/0, comm_, stream); });
  }

  absl::Status Health() override { return Checked("ncclCommGetAsyncError", Ask()); }

  void Abort() override {
    if (aborted_.exchange(true) || !own_) return;
    // Whoever has not called NCCL by now, does not any more.
    { MutexLock lock(&calling_); }
    library_.CommAbort(comm_);
  }

  // Calls NCCL, and waits until what it began in the background is over; gives up, and aborts, at `deadline`.
  absl::Status Call(absl::string_view name, Deadline deadline, absl::FunctionRef<int()> call) {
    absl::StatusOr<int> result = Exclusively(call);
    for (Polling polling; result.ok() && *result == nccl::kInProgress; result = Ask()) {
      if (Now() >= deadline) {
        Abort();
        return absl::DeadlineExceededError(
            absl::StrCat(name, ": not all of ", size(), " ranks connected within ", options_.timeout.count(), " ms"));
      }
      polling.Pause();
    }
    return Checked(name, result);
  }

 private:
  // A communicator is for one thread at a time. An adopted one is its owner's to keep to that, and may block: no lock.
  absl::StatusOr<int> Exclusively(absl::FunctionRef<int()> call) {
    if (!own_) return aborted_ ? absl::StatusOr<int>(Aborted()) : call();
    MutexLock lock(&calling_);
    return aborted_ ? absl::StatusOr<int>(Aborted()) : call();
  }

  absl::StatusOr<int> Ask() {
    return Exclusively([this] {
      int state = nccl::kSuccess;
      const int result = library_.CommGetAsyncError(comm_, &state);
      return result == nccl::kSuccess ? state : result;
    });
  }

  absl::Status Checked(absl::string_view name, const absl::StatusOr<int>& result) {
    if (!result.ok()) return result.status();
    return library_.Checked(name, *result);
  }

  const NcclComm comm_;
  const bool own_;
  const NcclOptions options_;
  const NcclLibrary& library_;
  std::atomic<bool> aborted_ = false;
  Mutex calling_;  // held in calls of NCCL with a communicator of its own, but in its abort
};

// Eight bytes that tell this life of the process from others.
std::string Salt() {
  std::random_device random;
  const uint64_t salt = uint64_t{random()} << 32 | random();
  return std::string(reinterpret_cast<const char*>(&salt), sizeof(salt));
}

// Rank 0 makes the identity of the communicator, and brings it behind its salt; the others bring a salt alone.
absl::StatusOr<NcclUniqueId> Meet(const NcclOptions& options, const NcclLibrary& library, Rendezvous* rendezvous,
                                  Deadline deadline) {
  NcclUniqueId id = {};
  std::string value = Salt();
  if (options.rank == 0) {
    EVENKEEL_RETURN_IF_ERROR(library.Checked("ncclGetUniqueId", library.GetUniqueId(&id)));
    value.append(id.bytes, sizeof(id.bytes));
  }
  if (options.size == 1) return id;
  EVENKEEL_ASSIGN_OR_RETURN(const std::vector<std::string> values, rendezvous->Exchange("nccl", value, deadline));
  const size_t salt = Salt().size();
  if (values[0].size() != salt + sizeof(id.bytes)) {
    return absl::DataLossError(absl::StrCat("rank 0 of ", options.size, " brought ", values[0].size(),
                                            " bytes, which are no ncclUniqueId: does it reduce by NCCL, too?"));
  }
  std::memcpy(id.bytes, values[0].data() + salt, sizeof(id.bytes));
  return id;
}

// A communicator goes to the current device.
absl::Status MakeCurrent(DeviceRuntime* runtime) {
  EVENKEEL_ASSIGN_OR_RETURN(const DeviceEvent event, runtime->CreateEvent());
  runtime->DestroyEvent(event);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<DeviceReducer>> MakeNcclReducer(const NcclOptions& options, const NcclLibrary& library,
                                                               DeviceRuntime* runtime, Rendezvous* rendezvous) {
  EVENKEEL_RETURN_IF_ERROR(CheckMembership(options.rank, options.size, options.timeout));
  const Deadline deadline = Now() + options.timeout;
  EVENKEEL_ASSIGN_OR_RETURN(const NcclUniqueId id, Meet(options, library, rendezvous, deadline));
  EVENKEEL_RETURN_IF_ERROR(MakeCurrent(runtime));
  NcclConfig config;
  NcclComm comm = nullptr;
  const int begun = library.CommInitRankConfig(&comm, options.size, id, options.rank, &config);
  EVENKEEL_RETURN_IF_ERROR(library.Checked("ncclCommInitRankConfig", begun));
  auto reducer = std::make_unique<NcclReducer>(comm, /*own=*/true, options, library);
  const absl::Status made = reducer->Call("ncclCommInitRankConfig", deadline, [begun] { return begun; });
  if (made.ok()) return reducer;
  reducer->Abort();
  return made;
}

absl::StatusOr<std::unique_ptr<DeviceReducer>> AdoptNcclReducer(NcclComm comm, const NcclOptions& options,
                                                                const NcclLibrary& library) {
  EVENKEEL_RETURN_IF_ERROR(CheckMembership(options.rank, options.size, options.timeout));
  if (comm == nullptr) return absl::InvalidArgumentError("the ncclComm_t is null; it must be a communicator");
  int rank = 0;
  int size = 0;
  EVENKEEL_RETURN_IF_ERROR(library.Checked("ncclCommUserRank", library.CommUserRank(comm, &rank)));
  EVENKEEL_RETURN_IF_ERROR(library.Checked("ncclCommCount", library.CommCount(comm, &size)));
  if (rank != options.rank || size != options.size) {
    return absl::InvalidArgumentError(absl::StrCat("the ncclComm_t is that of rank ", rank, " of ", size,
                                                   "; it must be that of rank ", options.rank, " of ", options.size));
  }
  return std::make_unique<NcclReducer>(comm, /*own=*/false, options, library);
}

}  // namespace evenkeel::client
