#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace evenkeel::routing {

struct BestItem {
  float value;
  int32_t id;
};

// The best few of what is offered, sorted by (value descending, id ascending): the order of all selection here. Offers
// come by ascending id and are not NaN. One thread at a time; no allocation after construction.
template <class Items>
class BestOf {
 public:
  // For lists of up to items.size() items.
  explicit BestOf(Items items) : items_(std::move(items)) {}

  // Empties the list; it keeps the best `capacity` from now on, 1 <= capacity <= items.size().
  void Reset(int capacity) {
    capacity_ = capacity;
    size_ = 0;
  }

  void Offer(BestItem item) {
    // Among equals the one that is there has the lower id and stays ahead.
    if (size_ == capacity_ && !(item.value > items_[size_ - 1].value)) return;
    int place = size_ < capacity_ ? size_++ : size_ - 1;
    for (; place > 0 && item.value > items_[place - 1].value; --place) items_[place] = items_[place - 1];
    items_[place] = item;
  }

  int size() const { return size_; }
  const BestItem& operator[](int rank) const { return items_[rank]; }

 private:
  Items items_;
  int capacity_ = 0;
  int size_ = 0;
};

// Of a length known at run time.
class BestList : public BestOf<std::vector<BestItem>> {
 public:
  explicit BestList(int most) : BestOf(std::vector<BestItem>(most)) {}
};

// Of a fixed length, without allocation.
template <size_t kMost>
class BestSlots : public BestOf<std::array<BestItem, kMost>> {
 public:
  BestSlots() : BestOf<std::array<BestItem, kMost>>({}) {}
};

}  // namespace evenkeel::routing
