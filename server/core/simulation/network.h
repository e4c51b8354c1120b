#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "server/core/simulation/event_loop.h"
#include "server/core/simulation/fate.h"
#include "server/core/simulation/journal.h"
#include "server/core/simulation/random.h"

namespace evenkeel::core::simulation {

// What can happen to messages, in percent of them.
struct NetworkFaults {
  int lost = 0;
  int doubled = 0;
  int late = 0;
  // How late they are at most; all others take up to kUsualDelayMs.
  int max_delay_ms = 3;
};

inline constexpr int kUsualDelayMs = 3;

enum class Direction { kToServer, kFromServer, kBoth };

// Carries the messages between the coordinator and one process: late, out of order, twice, or not at all.
class Link {
 public:
  // What all links of a history share; outlives them.
  struct Network {
    EventLoop* loop = nullptr;
    Fate* fate = nullptr;
    Journal* journal = nullptr;
    uint64_t seed = 0;
    NetworkFaults faults = {};
  };

  // `name`: the process's.
  Link(const Network* network, absl::string_view name);

  // Runs `deliver` when the message arrives. `direction` is one of the two.
  void Send(Direction direction, EventLoop::Event deliver);

  // The process ends, and its connection with it: what was late is lost, and so is what is sent from now on.
  void Close() { closed_ = true; }

  // What is sent that way is lost for so long.
  void Cut(Direction direction, int duration_ms);
  bool IsCut(Direction direction) const { return network_->loop->now_ms() < WayOf(direction).cut_until_ms; }

 private:
  struct Way {
    Way(uint64_t seed, std::string name) : name(std::move(name)), random(seed, this->name) {}

    // "job/0.1>": to the coordinator, from process 1 of contributor 0; "<": to the process.
    const std::string name;
    Random random;
    uint64_t sent = 0;
    uint64_t newest_delivered = 0;
    int64_t cut_until_ms = 0;
  };

  const Way& WayOf(Direction direction) const { return direction == Direction::kToServer ? to_server_ : from_server_; }
  bool Strikes(bool drawn, const char* what, const Way& way);
  void Deliver(Way* way, uint64_t message, int delay_ms, EventLoop::Event deliver);

  const Network* const network_;
  Way to_server_;
  Way from_server_;
  bool closed_ = false;
};

}  // namespace evenkeel::core::simulation
