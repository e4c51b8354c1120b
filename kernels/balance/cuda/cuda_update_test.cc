// EnqueueFlatUpdate(): what it refuses, and, where there is a GPU, the reference's bits from a captured graph.

#include "kernels/balance/cuda/cuda_update.h"

#include "gtest/gtest.h"

#if EVENKEEL_HAVE_CUDA
#include <memory>
#include <string>
#include <vector>

#include "cuda_runtime_api.h"
#include "kernels/balance/cuda/flat_job.h"

namespace evenkeel::balance {
namespace {

// Not null, and never read: what is refused is not launched.
FlatUpdate UpdateOfNothing() {
  static FlatBuffers buffers;
  buffers = FlatBuffers{};
  buffers.rates.resize(1);
  buffers.counts.resize(1);
  buffers.tokens.resize(1);
  buffers.bias.resize(1);
  buffers.ema.resize(1);
  buffers.pending.resize(1);
  buffers.scalars.resize(1);
  buffers.refused.resize(1);
  buffers.layers.resize(1);
  return buffers.Update();
}

void ExpectRefused(const FlatUpdate& update, const std::string& field) {
  const absl::Status status = EnqueueFlatUpdate(update, nullptr);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_NE(status.message().find("FlatUpdate." + field + " is "), std::string::npos) << status;
}

TEST(CudaUpdateTest, NamesWhatIsMissing) {
  FlatUpdate update = UpdateOfNothing();
  update.num_layers = -1;
  ExpectRefused(update, "num_layers");
  const auto expect_needed = [](const std::string& field, auto FlatUpdate::*address) {
    FlatUpdate update = UpdateOfNothing();
    update.*address = nullptr;
    ExpectRefused(update, field);
  };
  expect_needed("layers", &FlatUpdate::layers);
  expect_needed("step", &FlatUpdate::step);
  expect_needed("rates", &FlatUpdate::rates);
  expect_needed("counts", &FlatUpdate::counts);
  expect_needed("tokens", &FlatUpdate::tokens);
  expect_needed("bias", &FlatUpdate::bias);
  expect_needed("ema", &FlatUpdate::ema);
  expect_needed("pending", &FlatUpdate::pending);
  expect_needed("scalars", &FlatUpdate::scalars);
  expect_needed("refused", &FlatUpdate::refused);
}

TEST(CudaUpdateTest, NoLayersAreNoWork) { EXPECT_TRUE(EnqueueFlatUpdate(FlatUpdate{}, nullptr).ok()); }

#define ASSERT_CUDA(call) ASSERT_EQ(call, cudaSuccess)

struct CudaFree {
  void operator()(void* memory) const { cudaFree(memory); }
};

// A vector's copy on the device.
template <typename T>
class OnDevice {
 public:
  explicit OnDevice(const std::vector<T>& host) : size_(host.size() * sizeof(T)) {
    void* memory = nullptr;
    EXPECT_EQ(cudaMalloc(&memory, size_), cudaSuccess);
    memory_.reset(memory);
    CopyFrom(host.data());
  }

  void CopyFrom(const T* host) { EXPECT_EQ(cudaMemcpy(get(), host, size_, cudaMemcpyHostToDevice), cudaSuccess); }
  void CopyTo(T* host) const { EXPECT_EQ(cudaMemcpy(host, get(), size_, cudaMemcpyDeviceToHost), cudaSuccess); }
  T* get() const { return static_cast<T*>(memory_.get()); }

 private:
  size_t size_;
  std::unique_ptr<void, CudaFree> memory_;
};

// A job's buffers on the device, and the graph of one update of them.
class DeviceJob {
 public:
  explicit DeviceJob(FlatBuffers* host)
      : host_(host),
        targets_(host->targets),
        layers_(LayersOnDevice()),
        step_(std::vector<FlatStep>{host->step}),
        rates_(host->rates),
        counts_(host->counts),
        tokens_(host->tokens),
        bias_(host->bias),
        ema_(host->ema),
        pending_(host->pending),
        scalars_(host->scalars),
        refused_(host->refused) {}

  ~DeviceJob() {
    if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }

  void Capture() {
    cudaGraph_t graph;
    ASSERT_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
    ASSERT_CUDA(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
    EXPECT_TRUE(EnqueueFlatUpdate(Update(), stream_).ok());
    ASSERT_CUDA(cudaStreamEndCapture(stream_, &graph));
    ASSERT_CUDA(cudaGraphInstantiate(&graph_, graph, 0));
    ASSERT_CUDA(cudaGraphDestroy(graph));
  }

  // Takes the step that is in the host's buffers, and brings the state back there.
  void RunStep() {
    step_.CopyFrom(&host_->step);
    rates_.CopyFrom(host_->rates.data());
    counts_.CopyFrom(host_->counts.data());
    tokens_.CopyFrom(host_->tokens.data());
    ASSERT_CUDA(cudaDeviceSynchronize());
    ASSERT_CUDA(cudaGraphLaunch(graph_, stream_));
    ASSERT_CUDA(cudaStreamSynchronize(stream_));
    bias_.CopyTo(host_->bias.data());
    ema_.CopyTo(host_->ema.data());
    pending_.CopyTo(host_->pending.data());
    scalars_.CopyTo(host_->scalars.data());
    refused_.CopyTo(host_->refused.data());
  }

 private:
  std::vector<FlatLayer> LayersOnDevice() const {
    std::vector<FlatLayer> layers = host_->layers;
    for (FlatLayer& layer : layers) {
      if (layer.rule.target != nullptr) layer.rule.target = targets_.get() + layer.first_expert;
    }
    return layers;
  }

  FlatUpdate Update() const {
    return {static_cast<int>(host_->layers.size()),
            layers_.get(),
            step_.get(),
            rates_.get(),
            counts_.get(),
            tokens_.get(),
            bias_.get(),
            ema_.get(),
            pending_.get(),
            scalars_.get(),
            refused_.get()};
  }

  FlatBuffers* const host_;
  OnDevice<float> targets_;
  OnDevice<FlatLayer> layers_;
  OnDevice<FlatStep> step_;
  OnDevice<float> rates_;
  OnDevice<uint64_t> counts_;
  OnDevice<uint64_t> tokens_;
  OnDevice<float> bias_;
  OnDevice<float> ema_;
  OnDevice<uint64_t> pending_;
  OnDevice<LayerScalars> scalars_;
  OnDevice<uint32_t> refused_;
  cudaStream_t stream_ = nullptr;
  cudaGraphExec_t graph_ = nullptr;
};

TEST(CudaUpdateTest, TheReferencesBitsFromAGraph) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess) GTEST_SKIP() << "this machine has no GPU";
  for (int seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    FlatJob job(seed, {7, 8, 1, 64, 256, 257, 60, 384, 1000, 1024, 2049, 33, 512});
    DeviceJob on_device(&job.buffers());
    on_device.Capture();
    for (int step = 0; step < 16; ++step) {
      job.DrawStep();
      on_device.RunStep();
      job.ExpectSame();
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace evenkeel::balance

#else
TEST(CudaUpdateTest, Skipped) { GTEST_SKIP() << "built without CUDA"; }
#endif
