#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace evenkeel::soak {

// What something amounted to, sampled evenly over a time.
class Series {
 public:
  void Add(double value) { values_.push_back(value); }

  size_t size() const { return values_.size(); }
  // 0 of an empty series, as are the others.
  double first() const { return values_.empty() ? 0 : values_.front(); }
  double last() const { return values_.empty() ? 0 : values_.back(); }
  double most() const;
  // Medians of the second tenth, when things have settled, and of the last.
  double early() const { return MedianOf(1, 2); }
  double late() const { return MedianOf(9, 10); }

 private:
  // Of the samples from that tenth up to another; at least of one.
  double MedianOf(size_t first_tenth, size_t end_tenth) const;

  std::vector<double> values_;
};

// By how much a series may grow from its early median to its late one, and still be flat.
struct Bound {
  double share = 0;
  double absolute = 0;
};

// A series of fewer samples is not judged.
inline constexpr size_t kLeastSamples = 20;

inline bool IsFlat(const Series& series, const Bound& bound) {
  return series.size() < kLeastSamples || series.late() <= series.early() * (1 + bound.share) + bound.absolute;
}

}  // namespace evenkeel::soak
