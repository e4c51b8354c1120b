#pragma once

#include <cstdint>
#include <optional>

#include "server/core/simulation/clock.h"
#include "server/core/simulation/disk.h"
#include "server/core/simulation/event_loop.h"
#include "server/core/simulation/fate.h"
#include "server/core/simulation/journal.h"
#include "server/core/simulation/network.h"

namespace evenkeel::core::simulation {

// What everybody in one history shares.
struct World {
  World(uint64_t seed, const std::optional<Fate::Faults>& only, bool keep_events)
      : seed(seed), clock(&loop), journal(&loop, keep_events), fate(only), network{&loop, &fate, &journal, seed} {}
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  const uint64_t seed;
  EventLoop loop;
  Clock clock;
  Disk disk;
  Journal journal;
  Fate fate;
  Link::Network network;
  // All have finished, and nothing more will go wrong: nobody has to say any more that it is alive.
  bool over = false;
};

}  // namespace evenkeel::core::simulation
