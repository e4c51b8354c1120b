#include "kernels/routing/best_list.h"

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace evenkeel::routing {
namespace {

std::vector<int32_t> Best(int capacity, const std::vector<float>& values) {
  BestList best(capacity);
  best.Reset(capacity);
  for (size_t i = 0; i < values.size(); ++i) best.Offer({values[i], static_cast<int32_t>(i)});
  std::vector<int32_t> ids;
  for (int rank = 0; rank < best.size(); ++rank) {
    EXPECT_EQ(best[rank].value, values[best[rank].id]);
    ids.push_back(best[rank].id);
  }
  return ids;
}

TEST(BestListTest, SortsByValueThenId) {
  using Ids = std::vector<int32_t>;
  EXPECT_EQ(Best(3, {}), Ids());
  EXPECT_EQ(Best(3, {5, 7}), Ids({1, 0}));
  EXPECT_EQ(Best(3, {1, 2, 3, 4, 5}), Ids({4, 3, 2}));
  EXPECT_EQ(Best(3, {5, 4, 3, 2, 1}), Ids({0, 1, 2}));
  EXPECT_EQ(Best(3, {1, 1, 1, 1, 2}), Ids({4, 0, 1}));
  EXPECT_EQ(Best(2, {-0.0f, 0.0f}), Ids({0, 1}));
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(Best(2, {-kInfinity, kInfinity, -kInfinity}), Ids({1, 0}));
}

TEST(BestListTest, AgreesWithAStableSort) {
  for (uint32_t seed = 0; seed < 500; ++seed) {
    std::mt19937 random(seed);
    std::vector<float> values(random() % 100);
    for (float& value : values) value = static_cast<float>(random() % 20);  // many ties
    const int capacity = 1 + static_cast<int>(random() % 40);
    std::vector<int32_t> order(values.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return values[a] > values[b]; });
    order.resize(std::min<size_t>(order.size(), capacity));
    EXPECT_EQ(Best(capacity, values), order) << "seed " << seed;
  }
}

}  // namespace
}  // namespace evenkeel::routing
