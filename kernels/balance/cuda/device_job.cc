#include "kernels/balance/cuda/device_job.h"

namespace evenkeel::balance {

#define ASSERT_CUDA(call) ASSERT_EQ(call, cudaSuccess)

DeviceJob::DeviceJob(FlatBuffers* host)
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

DeviceJob::~DeviceJob() {
  if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
}

FlatUpdate DeviceJob::Update() const {
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

void DeviceJob::Capture(const std::function<absl::Status(CUstream_st*)>& enqueue) {
  cudaGraph_t graph;
  ASSERT_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  ASSERT_CUDA(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
  const absl::Status status = enqueue(stream_);
  EXPECT_TRUE(status.ok()) << status;
  ASSERT_CUDA(cudaStreamEndCapture(stream_, &graph));
  ASSERT_CUDA(cudaGraphInstantiate(&graph_, graph, 0));
  ASSERT_CUDA(cudaGraphDestroy(graph));
}

void DeviceJob::RunStep() {
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

std::vector<FlatLayer> DeviceJob::LayersOnDevice() const {
  std::vector<FlatLayer> layers = host_->layers;
  for (FlatLayer& layer : layers) {
    if (layer.rule.target != nullptr) layer.rule.target = targets_.get() + layer.first_expert;
  }
  return layers;
}

}  // namespace evenkeel::balance
