#pragma once

#include <pthread.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "kernels/balance/layer_update.h"

// Blocks of threads without a GPU, for tests: they run the text of layer_update.h as the device does.
namespace evenkeel::balance {

// One thread that does the work of all, in each phase in an order of its own: what a phase leaves must not depend on
// it.
template <int kNumThreads>
class ShuffledBlock {
 public:
  static constexpr int kThreads = kNumThreads;

  explicit ShuffledBlock(uint64_t seed) : random_(seed), order_(kThreads) {
    std::iota(order_.begin(), order_.end(), 0);
  }

  template <typename Function>
  void Phase(Function function) {
    std::shuffle(order_.begin(), order_.end(), random_);
    for (const int thread : order_) function(thread);
  }

  BlockMemory<kThreads>& memory() { return memory_; }

 private:
  std::mt19937_64 random_;
  std::vector<int> order_;
  BlockMemory<kThreads> memory_;
};

// One of kThreads real threads, which meet only at the ends of phases, as on the device: ThreadSanitizer sees whether
// that is enough, and a barrier that not all reach never opens.
template <int kNumThreads>
class ThreadedBlock {
 public:
  static constexpr int kThreads = kNumThreads;

  // Calls run(block) on every thread of a block, and comes back when all have returned.
  template <typename Run>
  static void RunAll(Run run) {
    BlockMemory<kThreads> memory;
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, nullptr, kThreads);
    std::vector<std::thread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        ThreadedBlock block(thread, &barrier, &memory);
        run(block);
      });
    }
    for (std::thread& thread : threads) thread.join();
    pthread_barrier_destroy(&barrier);
  }

  template <typename Function>
  void Phase(Function function) {
    function(thread_);
    pthread_barrier_wait(barrier_);
  }

  BlockMemory<kThreads>& memory() { return *memory_; }

 private:
  ThreadedBlock(int thread, pthread_barrier_t* barrier, BlockMemory<kThreads>* memory)
      : thread_(thread), barrier_(barrier), memory_(memory) {}

  const int thread_;
  pthread_barrier_t* const barrier_;
  BlockMemory<kThreads>* const memory_;
};

}  // namespace evenkeel::balance
