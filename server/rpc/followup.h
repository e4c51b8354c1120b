#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <utility>

#include "grpcpp/alarm.h"

namespace evenkeel::rpc {

// Something to do once: when Run is called, or after 50 ms, on a thread of gRPC's, if nobody has by then. Destroyed
// before both, it is not done.
class Followup {
 public:
  explicit Followup(std::function<void()> work);

  // On any thread.
  void Run() { task_->Run(); }

 private:
  struct Task {
    explicit Task(std::function<void()> work) : work(std::move(work)) {}
    void Run() {
      if (!done.exchange(true)) work();
    }

    const std::function<void()> work;
    std::atomic<bool> done{false};
  };

  // Shared with the alarm, which may ring while this is destroyed.
  const std::shared_ptr<Task> task_;
  grpc::Alarm alarm_;
};

}  // namespace evenkeel::rpc
