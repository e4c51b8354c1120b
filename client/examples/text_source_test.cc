#include "client/examples/text_source.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace text_worker {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ReadTextTest : public ::testing::Test {
 protected:
  ReadTextTest() : root_(fs::path(::testing::TempDir()) / "read_text_test") {
    fs::remove_all(root_);
    fs::create_directories(root_ / "folder" / "inner");
  }
  ~ReadTextTest() override { fs::remove_all(root_); }

  void Write(const std::string& name, const std::string& text) { std::ofstream(root_ / name) << text; }

  std::string Read(const std::vector<std::string>& names) {
    std::vector<std::string> paths;
    for (const std::string& name : names) paths.push_back(root_ / name);
    evenkeel::Result<std::string> text = ReadText(paths);
    return text.ok() ? *text : text.status().message();
  }

  const fs::path root_;
};

TEST_F(ReadTextTest, ReadsFoldersInTheOrderOfTheirNames) {
  Write("folder/b", "B");
  Write("folder/a", "A");
  Write("folder/inner/z", "Z");
  Write("folder/c", "");
  Write("folder/z", "z");
  EXPECT_EQ(Read({"folder"}), "ABZz");
}

TEST_F(ReadTextTest, ReadsPathsInTheOrderGiven) {
  Write("one", "1");
  Write("folder/two", "2");
  EXPECT_EQ(Read({"one", "folder"}), "12");
  EXPECT_EQ(Read({"folder", "one"}), "21");
}

TEST_F(ReadTextTest, ReadsAFileOnceHoweverManyNamesItHas) {
  Write("folder/real", "R");
  fs::create_symlink("real", root_ / "folder" / "alias");
  fs::create_directory_symlink("..", root_ / "folder" / "inner" / "up");
  fs::create_symlink("nowhere", root_ / "folder" / "dangling");
  EXPECT_EQ(Read({"folder", "folder/real", "folder/inner/.."}), "R");
}

TEST_F(ReadTextTest, SaysWhatIsWrong) {
  EXPECT_THAT(Read({"nowhere"}), HasSubstr("nowhere"));
  EXPECT_THAT(Read({"folder"}), HasSubstr("no text"));
  EXPECT_THAT(Read({}), HasSubstr("no text"));
}

// The positions of all steps up to `steps`, and how often each was read.
std::map<size_t, int> Visits(const TextShare& share, uint64_t steps) {
  std::map<size_t, int> visits;
  std::vector<size_t> positions;
  for (uint64_t step = 1; step <= steps; ++step) {
    share.Positions(step, &positions);
    for (const size_t position : positions) ++visits[position];
  }
  return visits;
}

TEST(TextShareTest, ContributorsShareNoByteAndLeaveNoChunkOut) {
  for (const size_t bytes : {64, 1000, 1023, 1024, 4097}) {
    for (const int ranks : {1, 2, 3, 4}) {
      SCOPED_TRACE(std::to_string(bytes) + " bytes for " + std::to_string(ranks));
      std::set<size_t> all;
      size_t sum = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        // Enough steps to read the whole share.
        const auto visits = Visits(TextShare(bytes, rank, ranks, 100), bytes / 100 + 1);
        for (const auto& [position, count] : visits) all.insert(position);
        sum += visits.size();
      }
      EXPECT_EQ(sum, all.size()) << "a byte has two readers";
      EXPECT_EQ(all.size(), bytes / TextShare::kChunk * TextShare::kChunk);
      EXPECT_LT(*all.rbegin(), bytes);
    }
  }
}

TEST(TextShareTest, ReadsAllOfItsShareBeforeItBeginsAgain) {
  const TextShare share(1600, 0, 1, 160);
  for (const auto& [position, count] : Visits(share, 10)) EXPECT_EQ(count, 1) << position;
  EXPECT_EQ(Visits(share, 10).size(), 1600);
}

TEST(TextShareTest, AStepDependsOnNothingButItsNumber) {
  const TextShare share(1000, 1, 3, 77);
  const TextShare twin(1000, 1, 3, 77);
  std::vector<size_t> positions;
  std::vector<size_t> again;
  share.Positions(5, &positions);
  twin.Positions(1, &again);
  twin.Positions(5, &again);
  EXPECT_EQ(positions, again);
  EXPECT_EQ(positions.size(), 77);
}

TEST(TextShareTest, AStepSeesTheTextInManyPlaces) {
  const size_t bytes = 1 << 18;
  const TextShare share(bytes, 2, 4, 2048);
  std::vector<size_t> positions;
  for (uint64_t step = 1; step <= 100; ++step) {
    share.Positions(step, &positions);
    std::set<size_t> sixteenths;
    for (const size_t position : positions) sixteenths.insert(position * 16 / bytes);
    EXPECT_EQ(sixteenths.size(), 16) << step;
  }
}

}  // namespace
}  // namespace text_worker
