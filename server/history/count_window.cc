#include "server/history/count_window.h"

#include <algorithm>

#include "base/check.h"

namespace evenkeel::history {

CountWindow::CountWindow(int experts) : totals_(experts), kept_(kKept * totals_.size()) {}

void CountWindow::BeginStep() {
  if (steps_ % kBlock == 0) {
    const uint64_t place = steps_ / kBlock % kKept;
    std::copy(totals_.begin(), totals_.end(), kept_.begin() + static_cast<ptrdiff_t>(place * totals_.size()));
  }
  ++steps_;
}

void CountWindow::Add(int offset, absl::Span<const uint64_t> counts) {
  EVENKEEL_CHECK(steps_ > 0 && offset + counts.size() <= totals_.size());
  uint64_t* const totals = totals_.data() + offset;
  for (size_t i = 0; i < counts.size(); ++i) totals[i] += counts[i];
}

uint64_t CountWindow::BaseBlock() const {
  if (steps_ <= kSteps) return 0;
  return (steps_ - 1) / kBlock - (kKept - 1);
}

std::vector<uint64_t> CountWindow::Window() const {
  std::vector<uint64_t> window = totals_;
  const uint64_t* const base = kept_.data() + BaseBlock() % kKept * totals_.size();
  for (size_t i = 0; i < window.size(); ++i) window[i] -= base[i];
  return window;
}

}  // namespace evenkeel::history
