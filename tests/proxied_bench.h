#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/counting_bench.h"
#include "tests/fault_tally.h"
#include "tests/tcp_proxy.h"

namespace evenkeel::tests {

// A CountingBench each of whose workers has a network to the coordinator of its own.
class ProxiedBench : public CountingBench {
 protected:
  static void TearDownTestSuite();

  Place PlaceOf(int rank) const override { return {{}, ways_[rank]->address()}; }

  // As StartJob, over networks without faults.
  void StartProxiedJob(std::vector<Contributor> contributors, uint64_t steps, const Flags& flags);
  TcpProxy& way(int rank) { return *ways_[rank]; }

  // As ExpectReferenceAtTheEnd; then says to the tally what was lost.
  void ExpectNothingLost();

  // Of all tests; printed after the last.
  static FaultTally tally_;

 private:
  std::vector<std::unique_ptr<TcpProxy>> ways_;
};

}  // namespace evenkeel::tests
