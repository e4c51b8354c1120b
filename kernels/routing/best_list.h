#pragma once

#include <cstdint>
#include <vector>

namespace evenkeel::routing {

// The best few of what is offered, sorted by (value descending, id ascending): the order of all selection here. Offers
// come by ascending id and are not NaN. One thread at a time; no allocation after construction.
class BestList {
 public:
  struct Item {
    float value;
    int32_t id;
  };

  // For lists of up to `most` items.
  explicit BestList(int most) : items_(most) {}

  // Empties the list; it keeps the best `capacity` from now on, 1 <= capacity <= most.
  void Reset(int capacity) {
    capacity_ = capacity;
    size_ = 0;
  }

  void Offer(Item item) {
    // Among equals the one that is there has the lower id and stays ahead.
    if (size_ == capacity_ && !(item.value > items_[size_ - 1].value)) return;
    int place = size_ < capacity_ ? size_++ : size_ - 1;
    for (; place > 0 && item.value > items_[place - 1].value; --place) items_[place] = items_[place - 1];
    items_[place] = item;
  }

  int size() const { return size_; }
  const Item& operator[](int rank) const { return items_[rank]; }

 private:
  std::vector<Item> items_;
  int capacity_ = 0;
  int size_ = 0;
};

}  // namespace evenkeel::routing
