#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "kernels/routing/route.h"
#include "tests/benchmarks/thread_team.h"

namespace evenkeel::benchmarks {

using Router = absl::Status (*)(const routing::RouteSpec&, const routing::RouteInput&, const routing::RouteOutput&,
                                routing::RouteStats*);

// A router at work: calls that route T rows each, of synthetic logits, into ids, weights and counts. A team shares the
// rows of a call, each thread at least 16, with counts of its own.
class RouteWorkload {
 public:
  // `spec` valid, `dtype` kF32 or kBF16, `rows` >= 1. `team` must outlive this.
  RouteWorkload(Router router, ThreadTeam* team, const routing::RouteSpec& spec, routing::DType dtype, int64_t rows);

  // Of logits read, and ids and weights written.
  int64_t bytes_per_row() const;
  // Of all rows that the calls go through: as many calls as fit into 4,096 rows have rows of their own.
  int64_t bytes() const { return pool_rows_ * bytes_per_row(); }

  // Calls the router for at least `seconds`, and once at least; the seconds of one call.
  double Turn(double seconds);

  // Whether all calls went well, and every slot of every row was counted.
  bool RoutedEverything() const;

 private:
  // What one thread writes, on cache lines of its own.
  struct alignas(64) Part {
    std::vector<uint64_t> counts;
    routing::RouteStats stats;
    bool ok = true;
  };

  int ElementBytes() const { return dtype_ == routing::DType::kF32 ? 4 : 2; }
  void FillInputs();
  void StoreRow(const std::vector<float>& row, int64_t index);
  void Call();
  // A member's share of the rows from `first` of the pool.
  void RoutePart(int member, int64_t first);

  const Router router_;
  ThreadTeam* const team_;
  const routing::RouteSpec spec_;
  const routing::DType dtype_;
  const int64_t rows_;
  const int64_t pool_rows_;  // a multiple of rows_
  std::vector<unsigned char> logits_;
  std::vector<float> bias_;
  std::vector<int32_t> ids_;
  std::vector<float> weights_;
  std::vector<Part> parts_;
  int64_t calls_ = 0;
};

}  // namespace evenkeel::benchmarks
