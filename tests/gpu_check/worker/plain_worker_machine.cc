#include <cstdlib>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "client/device/test_runtime.h"
#include "client/reduce/fake_nccl_path.h"
#include "tests/gpu_check/quick.h"
#include "tests/gpu_check/worker/worker_machine.h"

namespace evenkeel::gpu_check {
namespace {

using client::DeviceEvent;
using client::DeviceStream;

// A TestRuntime that notes kernels down in place of enqueueing them, while it is asked to. What a graph cannot have
// from a worker (to wait, to copy, to allocate) is an error then.
class CapturingRuntime final : public client::DeviceRuntime {
 public:
  using Launches = std::vector<std::function<absl::Status()>>;

  void Begin() { captured_.emplace(); }
  Launches End() { return *std::exchange(captured_, std::nullopt); }

  const client::DeviceInfo& info() const override { return inner_.info(); }
  absl::StatusOr<void*> Allocate(size_t bytes) override { return inner_.Allocate(bytes); }
  absl::StatusOr<void*> AllocatePinned(size_t bytes) override { return inner_.AllocatePinned(bytes); }
  void Free(void* memory) override { inner_.Free(memory); }
  void FreePinned(void* memory) override { inner_.FreePinned(memory); }
  absl::StatusOr<DeviceStream> CreateStream() override { return inner_.CreateStream(); }
  void DestroyStream(DeviceStream stream) override { inner_.DestroyStream(stream); }
  absl::StatusOr<DeviceEvent> CreateEvent() override { return inner_.CreateEvent(); }
  void DestroyEvent(DeviceEvent event) override { inner_.DestroyEvent(event); }
  absl::StatusOr<bool> Happened(DeviceEvent event) override { return inner_.Happened(event); }

  absl::Status Record(DeviceEvent event, DeviceStream stream) override {
    return captured_.has_value() ? NoKernel() : inner_.Record(event, stream);
  }
  absl::Status WaitOn(DeviceStream stream, DeviceEvent event) override {
    return captured_.has_value() ? NoKernel() : inner_.WaitOn(stream, event);
  }
  absl::Status Copy(void* to, const void* from, size_t bytes, DeviceStream stream) override {
    return captured_.has_value() ? NoKernel() : inner_.Copy(to, from, bytes, stream);
  }
  absl::Status FillZero(void* memory, size_t bytes, DeviceStream stream) override {
    return captured_.has_value() ? NoKernel() : inner_.FillZero(memory, bytes, stream);
  }

  absl::Status Route(const routing::RouteSpec& spec, const routing::RouteInput& input,
                     const routing::RouteOutput& output, routing::RouteStats* stats, DeviceStream stream) override {
    return Launch([=] { return inner_.Route(spec, input, output, stats, stream); });
  }
  absl::Status RouteBackward(const routing::RouteSpec& spec, const routing::RouteBackwardInput& input,
                             const routing::RouteBackwardOutput& output, DeviceStream stream) override {
    return Launch([=] { return inner_.RouteBackward(spec, input, output, stream); });
  }
  absl::Status CountIds(const counting::IdsInput& input, const counting::CountOutput& output,
                        DeviceStream stream) override {
    return Launch([=] { return inner_.CountIds(input, output, stream); });
  }
  absl::Status AddCounts(const counting::CountsInput& input, const counting::CountOutput& output,
                         DeviceStream stream) override {
    return Launch([=] { return inner_.AddCounts(input, output, stream); });
  }
  absl::Status NextStep(const balance::NextStep& next, DeviceStream stream) override {
    return inner_.NextStep(next, stream);
  }
  absl::Status Update(const balance::FlatUpdate& update, DeviceStream stream) override {
    return inner_.Update(update, stream);
  }

 private:
  static absl::Status NoKernel() { return absl::InternalError("a graph is captured, and this is no kernel"); }

  absl::Status Launch(std::function<absl::Status()> launch) {
    if (!captured_.has_value()) return launch();
    captured_->push_back(std::move(launch));
    return absl::OkStatus();
  }

  client::TestRuntime inner_;
  std::optional<Launches> captured_;
};

class PlainWorkerMachine final : public WorkerMachine {
 public:
  client::DeviceRuntime* runtime() override { return &runtime_; }

  absl::StatusOr<Replay> Capture(DeviceStream, const std::function<absl::Status()>& enqueue) override {
    runtime_.Begin();
    const absl::Status status = enqueue();
    const CapturingRuntime::Launches launches = runtime_.End();
    EVENKEEL_RETURN_IF_ERROR(status);
    return [launches] {
      for (const auto& launch : launches) EVENKEEL_RETURN_IF_ERROR(launch());
      return absl::OkStatus();
    };
  }

 private:
  CapturingRuntime runtime_;
};

}  // namespace

// Its libnccl is the double, and nothing runs in parallel: tests are small.
absl::StatusOr<std::unique_ptr<WorkerMachine>> MakeWorkerMachine() {
  SetQuick();
  setenv("EVENKEEL_NCCL_LIBRARY", client::kFakeNcclPath, 1);
  return std::make_unique<PlainWorkerMachine>();
}

}  // namespace evenkeel::gpu_check
