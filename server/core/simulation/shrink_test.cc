#include "server/core/simulation/shrink.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "gtest/gtest.h"

namespace evenkeel::core::simulation {
namespace {

TEST(KindOfTest, IsWhatIsBrokenWithoutNumbers) {
  EXPECT_EQ(KindOf("job: the state of step 12 is not the reference's: modified: layers[0]"),
            "the state of step  is not the reference's");
  EXPECT_EQ(KindOf("other: the state of step 3 is not the reference's: deleted"),
            KindOf("job: the state of step 12 is not the reference's: modified"));
  EXPECT_NE(KindOf("job: step 3 is answered and not on disk"), KindOf("job: step 3 is committed; nobody pushed it"));
  EXPECT_EQ(KindOf(""), "");
}

// A coordinator whose disk loses what is written third, and what is written fifth.
class LosesTwoWrites final : public Parts {
 public:
  void Apply(const std::vector<Write>& writes, Disk* disk) override {
    ++applied_;
    if (applied_ != 3 && applied_ != 5) Parts::Apply(writes, disk);
  }

 private:
  int applied_ = 0;
};

class ShrinkTest : public ::testing::Test {
 protected:
  ShrinkTest() {
    for (uint64_t seed = 1; found_.complaint.empty() || found_.faults.size() < 20; ++seed) {
      found_ = RunHistory({seed}, make_);
    }
  }

  const MakeParts make_ = [] { return std::make_unique<LosesTwoWrites>(); };
  Report found_;
};

TEST_F(ShrinkTest, NothingMoreCanBeLeftOut) {
  const Report small = Shrink(found_, make_);
  EXPECT_LT(small.faults.size(), found_.faults.size());
  for (size_t i = 0; i < small.faults.size(); ++i) {
    Recipe without = small.recipe;
    without.only->erase(without.only->begin() + i);
    EXPECT_NE(KindOf(RunHistory(without, make_).complaint), KindOf(found_.complaint)) << ToString(without);
  }
}

TEST_F(ShrinkTest, IsTheSameTwice) {
  EXPECT_EQ(ToString(Shrink(found_, make_).recipe), ToString(Shrink(found_, make_).recipe));
}

TEST_F(ShrinkTest, EndsAfterSoManyHistories) {
  int runs = 0;
  const MakeParts counted = [&] {
    ++runs;
    return make_();
  };
  const Report small = Shrink(found_, counted, /*max_runs=*/10);
  EXPECT_EQ(runs, 10);
  EXPECT_EQ(KindOf(RunHistory(small.recipe, make_).complaint), KindOf(found_.complaint));
}

}  // namespace
}  // namespace evenkeel::core::simulation
