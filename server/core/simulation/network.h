#pragma once

#include "server/core/simulation/event_loop.h"
#include "server/core/simulation/random.h"

namespace evenkeel::core::simulation {

// Carries messages: late, out of order, twice, or not at all.
class Network {
 public:
  struct Faults {
    // In percent of all messages.
    int loss = 0;
    int duplication = 0;
    // Messages take 1 ms to this.
    int max_delay_ms = 3;
  };

  // Both outlive the network.
  Network(EventLoop* loop, Random* random) : loop_(loop), random_(random) {}

  void SetFaults(const Faults& faults) { faults_ = faults; }

  // Runs `deliver` when the message arrives.
  void Send(EventLoop::Event deliver);

 private:
  int Delay() { return random_->Between(1, faults_.max_delay_ms); }

  EventLoop* const loop_;
  Random* const random_;
  Faults faults_;
};

}  // namespace evenkeel::core::simulation
