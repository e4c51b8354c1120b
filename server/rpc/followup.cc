#include "server/rpc/followup.h"

#include <chrono>

namespace evenkeel::rpc {
namespace {

constexpr auto kPatience = std::chrono::milliseconds(50);

}  // namespace

Followup::Followup(std::function<void()> work) : task_(std::make_shared<Task>(std::move(work))) {
  alarm_.Set(std::chrono::system_clock::now() + kPatience, [task = task_](bool rang) {
    if (rang) task->Run();
  });
}

}  // namespace evenkeel::rpc
