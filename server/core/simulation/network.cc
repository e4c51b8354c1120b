#include "server/core/simulation/network.h"

#include <utility>

namespace evenkeel::core::simulation {

void Network::Send(EventLoop::Event deliver) {
  if (random_->Percent(faults_.loss)) return;
  if (random_->Percent(faults_.duplication)) loop_->After(Delay(), deliver);
  loop_->After(Delay(), std::move(deliver));
}

}  // namespace evenkeel::core::simulation
