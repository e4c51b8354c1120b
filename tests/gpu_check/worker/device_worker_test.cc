// The worker on a device, run ahead of it, against the reference on the host: the bias of every step, what was routed
// forwards and backwards, and what is told of the last version, bit for bit. All of a Worker but what needs a
// coordinator.

#include <algorithm>
#include <chrono>
#include <memory>
#include <ostream>
#include <string>
#include <utility>

#include "client/reduce/nccl_library.h"
#include "client/reduce/nccl_reducer.h"
#include "client/source/background_source.h"
#include "client/source/local_source.h"
#include "client/worker/device_workspace.h"
#include "gtest/gtest.h"
#include "job/job_plan.h"
#include "tests/gpu_check/quick.h"
#include "tests/gpu_check/worker/reference_workspace.h"
#include "tests/gpu_check/worker/training.h"
#include "tests/gpu_check/worker/worker_machine.h"

namespace evenkeel::gpu_check {
namespace {

using client::DeviceWorkspace;
using client::DeviceWorkspaceOptions;
using client::LocalSource;
using Versions = DeviceWorkspaceOptions::Versions;

struct Case {
  const char* name;
  Versions versions;
  int lag = 0;
  bool nccl = false;    // a communicator of one rank reduces and broadcasts
  bool graphs = false;  // CUDA graphs, for even and for odd steps
};

void PrintTo(const Case& which, std::ostream* out) { *out << which.name; }

constexpr Case kCases[] = {
    {"Made", Versions::kMade},
    {"MadeWithLag", Versions::kMade, 1},
    {"MadeFromGraphs", Versions::kMade, 0, false, true},
    {"MadeByNccl", Versions::kMade, 0, true},
    {"MadeByNcclFromGraphsWithLag", Versions::kMade, 1, true, true},
    {"Given", Versions::kGiven},
    {"GivenWithLag", Versions::kGiven, 1},
    {"GivenFromGraphsWithLag", Versions::kGiven, 1, false, true},
    {"Broadcast", Versions::kBroadcast, 0, true},
    {"BroadcastWithLag", Versions::kBroadcast, 1, true},
};

uint64_t Steps() { return Quick() ? 40 : 300; }

class DeviceWorkerTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    auto machine = MakeWorkerMachine();
    ASSERT_TRUE(machine.ok()) << machine.status();
    machine_ = *std::move(machine);
    if (!GetParam().nccl) return;
    auto nccl = client::OpenNccl();
    if (!nccl.ok()) GTEST_SKIP() << nccl.status().message();
    nccl_ = *std::move(nccl);
  }

  absl::StatusOr<Trained> OnTheHost() {
    EVENKEEL_ASSIGN_OR_RETURN(const auto source, LocalSource::Make(job_));
    ReferenceWorkspace workspace(&layers_);
    HostMemory memory;
    return Train(layers_, Steps(), {&workspace, source.get(), &memory, nullptr});
  }

  absl::StatusOr<Trained> OnTheDevice(size_t notes) {
    client::DeviceRuntime* const runtime = machine_->runtime();
    EVENKEEL_ASSIGN_OR_RETURN(const auto stream, client::OwnedStream::Create(runtime));
    EVENKEEL_ASSIGN_OR_RETURN(const auto memory, GpuMemory::Create(runtime, stream.get(), notes));
    EVENKEEL_ASSIGN_OR_RETURN(const job::JobPlan plan, job::PlanJob(job_, v1::BalanceConfig(), job::NoLimits()));
    EVENKEEL_ASSIGN_OR_RETURN(const auto workspace, DeviceWorkspace::Make(Options(), &layers_, &plan, runtime));
    EVENKEEL_RETURN_IF_ERROR(workspace->SetStream(stream.get()));
    EVENKEEL_ASSIGN_OR_RETURN(const auto source, MakeSource());
    Trainee trainee = {workspace.get(), source.get(), memory.get(), nullptr};
    if (GetParam().graphs) {
      trainee.capture = [&](const std::function<absl::Status()>& calls) {
        return machine_->Capture(stream.get(), calls);
      };
    }
    absl::StatusOr<Trained> trained = Train(layers_, Steps(), trainee);
    workspace->Stop();
    return trained;
  }

  const client::LayerTable layers_ = client::LayerTable::Make(TrainingLayers()).value();
  const v1::JobSpec job_ = TrainingJob(layers_, GetParam().lag);

 private:
  DeviceWorkspaceOptions Options() {
    DeviceWorkspaceOptions options;
    options.versions = GetParam().versions;
    options.lag = GetParam().lag;
    options.timeout = std::chrono::seconds(60);
    if (nccl_ == nullptr) return options;
    options.make_reducer = [this] {
      return client::MakeNcclReducer(client::NcclOptions(), *nccl_, machine_->runtime(), /*rendezvous=*/nullptr);
    };
    return options;
  }

  absl::StatusOr<std::unique_ptr<client::BiasSource>> MakeSource() {
    EVENKEEL_ASSIGN_OR_RETURN(std::unique_ptr<client::BiasSource> source, LocalSource::Make(job_));
    if (GetParam().versions != Versions::kMade) return source;
    return std::make_unique<client::BackgroundSource>(std::move(source));
  }

  std::unique_ptr<WorkerMachine> machine_;
  std::unique_ptr<const client::NcclLibrary> nccl_;
};

// Where the first difference is.
std::string Place(const Trained& trained, size_t at) {
  return "in step " + std::to_string(at / trained.notes_of_a_step + 1) + ", byte " +
         std::to_string(at % trained.notes_of_a_step) + " of its bias and outputs";
}

TEST_P(DeviceWorkerTest, IsTheReferenceBitForBit) {
  const absl::StatusOr<Trained> host = OnTheHost();
  ASSERT_TRUE(host.ok()) << host.status();
  const absl::StatusOr<Trained> device = OnTheDevice(host->notes.size());
  ASSERT_TRUE(device.ok()) << device.status();
  ASSERT_EQ(device->notes.size(), host->notes.size());
  const auto [ours, theirs] = std::mismatch(device->notes.begin(), device->notes.end(), host->notes.begin());
  EXPECT_TRUE(ours == device->notes.end()) << Place(*host, ours - device->notes.begin());
  EXPECT_EQ(device->version.SerializeAsString(), host->version.SerializeAsString());
  EXPECT_EQ(host->version.version().step(), Steps());
}

INSTANTIATE_TEST_SUITE_P(All, DeviceWorkerTest, testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace evenkeel::gpu_check
