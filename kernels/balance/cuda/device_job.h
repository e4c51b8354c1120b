#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "cuda_runtime_api.h"
#include "gtest/gtest.h"
#include "kernels/balance/cuda/flat_job.h"

// For the tests of a machine with a GPU. What CUDA refuses fails the test.
namespace evenkeel::balance {

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
  struct CudaFree {
    void operator()(void* memory) const { cudaFree(memory); }
  };

  size_t size_;
  std::unique_ptr<void, CudaFree> memory_;
};

// A job's buffers on the device, and the graph of one step of it.
class DeviceJob {
 public:
  explicit DeviceJob(FlatBuffers* host);
  DeviceJob(const DeviceJob&) = delete;
  ~DeviceJob();

  FlatUpdate Update() const;

  // Makes the graph of what `enqueue` puts on a stream.
  void Capture(const std::function<absl::Status(CUstream_st*)>& enqueue);

  // Copies the step that is in the host's buffers, runs the graph, and brings the state back there.
  void RunStep();

 private:
  std::vector<FlatLayer> LayersOnDevice() const;

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

}  // namespace evenkeel::balance
