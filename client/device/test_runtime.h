#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "client/device/device_runtime.h"
#include "client/device/test_kernels.h"
#include "client/device/test_memory.h"

namespace evenkeel::client {

struct TestRuntimeOptions {
  uint64_t seed = 1;
  // Each stream runs on a thread of its own: ThreadSanitizer then sees a missing wait. Else, see TestRuntime.
  bool threads = false;
  size_t memory = std::numeric_limits<size_t>::max();  // bytes, of both kinds together
};

// What was enqueued on a stream so far.
struct Enqueued {
  int kernels = 0;
  int copies = 0;
  int fills = 0;
  int records = 0;
  int waits = 0;
  int collectives = 0;  // whatever came through test_stream.h
};

// Kernels that were captured, with their arguments.
using TestGraph = std::vector<Kernel>;

// A DeviceRuntime without a device, for tests: its memory is the host's, and told apart from it.
//
// What is enqueued runs LATER, and streams run in a random order among each other, of which nothing is promised but
// what streams and events promise: where a wait is missing, some seed shows it. Nothing ever runs inside a call that
// enqueues. It runs a little, a random number of steps from 0, inside of Happened, and to the end inside of RunAll,
// Free and FreePinned; or, with threads, at any time.
//
// Aborts, at the latest when it would run, where an address is not wholly in what it allocated: kernels take memory of
// the device only. Freed memory is really freed, for AddressSanitizer. The null stream is one that waits for no other,
// as all are. Everything else is as DeviceRuntime says: also a destroyed stream runs what is on it.
class TestRuntime final : public DeviceRuntime {
 public:
  explicit TestRuntime(const TestRuntimeOptions& options = {});
  // What has not run then, never does.
  ~TestRuntime() override;

  // Runs until nothing is left. For ever, where a collective never can be.
  void RunAll();
  // What was enqueued on a stream that is not destroyed.
  Enqueued CountOf(DeviceStream stream);
  // The same of all streams together.
  Enqueued CountOfAll();

  // As the capture of a CUDA graph: between the two the stream's kernels are noted down in place of being enqueued. All
  // else that may not be in a graph of a worker's (copies, events) is INTERNAL there.
  void BeginCapture(DeviceStream stream);
  TestGraph EndCapture(DeviceStream stream);
  // Enqueues what was captured, on any stream, as often as wanted.
  void LaunchGraph(const TestGraph& graph, DeviceStream stream);

  const DeviceInfo& info() const override { return info_; }
  absl::StatusOr<void*> Allocate(size_t bytes) override;
  absl::StatusOr<void*> AllocatePinned(size_t bytes) override;
  void Free(void* memory) override;
  void FreePinned(void* memory) override;
  absl::StatusOr<DeviceStream> CreateStream() override;
  void DestroyStream(DeviceStream stream) override;
  absl::StatusOr<DeviceEvent> CreateEvent() override;
  void DestroyEvent(DeviceEvent event) override;
  absl::Status Record(DeviceEvent event, DeviceStream stream) override;
  absl::Status WaitOn(DeviceStream stream, DeviceEvent event) override;
  absl::StatusOr<bool> Happened(DeviceEvent event) override;
  absl::StatusOr<bool> IsCapturing(DeviceStream stream) override;
  absl::Status Copy(void* to, const void* from, size_t bytes, DeviceStream stream) override;
  absl::Status FillZero(void* memory, size_t bytes, DeviceStream stream) override;
  absl::Status Route(const routing::RouteSpec& spec, const routing::RouteInput& input,
                     const routing::RouteOutput& output, routing::RouteStats* stats, DeviceStream stream) override;
  absl::Status RouteBackward(const routing::RouteSpec& spec, const routing::RouteBackwardInput& input,
                             const routing::RouteBackwardOutput& output, DeviceStream stream) override;
  absl::Status CountIds(const counting::IdsInput& input, const counting::CountOutput& output,
                        DeviceStream stream) override;
  absl::Status AddCounts(const counting::CountsInput& input, const counting::CountOutput& output,
                         DeviceStream stream) override;
  absl::Status Checksum(const void* words, int64_t num_words, uint64_t start, uint64_t* sum,
                        DeviceStream stream) override;
  absl::Status NextStep(const balance::NextStep& next, DeviceStream stream) override;
  absl::Status Update(const balance::FlatUpdate& update, DeviceStream stream) override;

 private:
  class Stream;

  Stream& Find(DeviceStream stream);
  absl::Status Launch(absl::StatusOr<Kernel> kernel, DeviceStream stream);
  absl::Status CheckNoCapture(DeviceStream stream);
  // Runs what comes next on one stream, drawn at random.
  void Step();
  bool AllHaveRun();

  const TestRuntimeOptions options_;
  const DeviceInfo info_;
  TestMemory memory_;
  Mutex running_;  // held while something runs, without threads; before mutex_
  std::mt19937_64 random_ ABSL_GUARDED_BY(running_);
  Mutex mutex_;
  std::vector<std::unique_ptr<Stream>> streams_ ABSL_GUARDED_BY(mutex_);  // the first is the null stream
  std::map<DeviceEvent, std::unique_ptr<CUevent_st>> events_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace evenkeel::client
