#pragma once

#include <pthread.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <random>
#include <thread>
#include <type_traits>
#include <vector>

// Blocks of threads without a GPU, for tests. They run, as the device does, text that is made of phases:
//   Block::kThreads  how many threads
//   memory()         what they share: plain data, and garbage to begin with
//   Phase(function)  calls function(thread) for each of its threads, at once or in any order, and comes back when all
//                    have returned
namespace evenkeel {

// Such as a device's shared memory holds when a kernel begins.
inline constexpr uint8_t kSharedGarbage = 0xab;

template <class Memory>
void FillWithGarbage(Memory* memory) {
  static_assert(std::is_trivially_copyable_v<Memory>);
  std::memset(static_cast<void*>(memory), kSharedGarbage, sizeof(Memory));
}

// One thread that does the work of all, in each phase in an order of its own: what a phase leaves must not depend on
// it.
template <int kNumThreads, class Memory>
class ShuffledBlock {
 public:
  static constexpr int kThreads = kNumThreads;

  explicit ShuffledBlock(uint64_t seed) : random_(seed), order_(kThreads) {
    std::iota(order_.begin(), order_.end(), 0);
    FillWithGarbage(&memory_);
  }

  template <typename Function>
  void Phase(Function function) {
    std::shuffle(order_.begin(), order_.end(), random_);
    for (const int thread : order_) function(thread);
  }

  Memory& memory() { return memory_; }

 private:
  std::mt19937_64 random_;
  std::vector<int> order_;
  Memory memory_;
};

// One of kThreads real threads, which meet only at the ends of phases, as on the device: ThreadSanitizer sees whether
// that is enough, and a barrier that not all reach never opens.
template <int kNumThreads, class Memory>
class ThreadedBlock {
 public:
  static constexpr int kThreads = kNumThreads;

  // Calls run(block) on every thread of a block, and comes back when all have returned.
  template <typename Run>
  static void RunAll(Run run) {
    Memory memory;
    FillWithGarbage(&memory);
    Barriers barriers;
    for (pthread_barrier_t& barrier : barriers) pthread_barrier_init(&barrier, nullptr, kThreads);
    std::vector<std::thread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        ThreadedBlock block(thread, &barriers, &memory);
        run(block);
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (pthread_barrier_t& barrier : barriers) pthread_barrier_destroy(&barrier);
  }

  template <typename Function>
  void Phase(Function function) {
    function(thread_);
    pthread_barrier_wait(&(*barriers_)[phase_++ % 2]);
  }

  Memory& memory() { return *memory_; }

 private:
  // Of phases in turn. With one, a thread that leaves it late would seem to have met those that wait there again, and
  // ThreadSanitizer would not see what they did in between.
  using Barriers = std::array<pthread_barrier_t, 2>;

  ThreadedBlock(int thread, Barriers* barriers, Memory* memory)
      : thread_(thread), barriers_(barriers), memory_(memory) {}

  const int thread_;
  Barriers* const barriers_;
  int64_t phase_ = 0;
  Memory* const memory_;
};

}  // namespace evenkeel
