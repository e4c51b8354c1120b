#pragma once

#include <sched.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "base/mutex.h"

namespace evenkeel::benchmarks {

// Threads made once, which work on one job after another together: what a trainer's threads are to a router. Between
// jobs that follow each other at once they wait awake, so that starting a job costs about a microsecond; after a pause
// they sleep and are in nobody's way. Where there are cores enough, each thread, the caller's too, keeps to one of its
// own: left to itself, the system may have two of them take turns on one core for as long as the jobs are short.
class ThreadTeam {
 public:
  // `threads` >= 1, the caller's own included.
  explicit ThreadTeam(int threads);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int size() const { return static_cast<int>(threads_.size()) + 1; }

  // Calls job(0) .. job(size() - 1), each in its own thread and job(0) in the caller's, and returns when all have. One
  // Run at a time. What was written before Run the jobs see, and what they wrote is seen after it.
  void Run(absl::FunctionRef<void(int member)> job);

 private:
  void KeepToOwnCore(int member) const;
  void Serve(int member);
  // The number of the next job after `done`.
  uint64_t Await(uint64_t done);

  cpu_set_t cores_;                                    // that the caller may use, before and after
  const absl::FunctionRef<void(int)>* job_ = nullptr;  // null ends the members
  std::atomic<uint64_t> jobs_{0};                      // begun; grows under the mutex
  std::atomic<int> at_work_{0};
  Mutex mutex_;
  CondVar begun_;
  std::vector<std::thread> threads_;
};

}  // namespace evenkeel::benchmarks
