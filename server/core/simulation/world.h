#pragma once

#include <cstdint>

#include "server/core/simulation/disk.h"
#include "server/core/simulation/event_loop.h"
#include "server/core/simulation/journal.h"
#include "server/core/simulation/network.h"
#include "server/core/simulation/random.h"

namespace evenkeel::core::simulation {

// What everybody in one history shares.
struct World {
  World(uint64_t seed, bool keep_events) : random(seed), network(&loop, &random), journal(&loop, keep_events) {}
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Random random;
  EventLoop loop;
  Network network;
  Disk disk;
  Journal journal;
};

}  // namespace evenkeel::core::simulation
