// What a bit that flips on disk can do: the store says that it is damaged, or finds what was written, or does not open.
// Never does it give anything else.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/schema.h"
#include "server/store/store.h"
#include "server/store/test_process.h"
#include "server/store/test_records.h"

namespace evenkeel::store {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kNewest = 6;
constexpr size_t kPage = 16384;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Of two texts that are long, the first lines that differ.
std::string FirstDifference(const std::string& was, const std::string& is) {
  const std::vector<std::string> a = absl::StrSplit(was, '\n'), b = absl::StrSplit(is, '\n');
  size_t line = 0;
  while (line < a.size() && line < b.size() && a[line] == b[line]) ++line;
  return absl::StrCat("line ", line, ": was \"", line < a.size() ? a[line] : "", "\", is \"",
                      line < b.size() ? b[line] : "", "\"; ", a.size(), " and ", b.size(), " lines");
}

// A state directory that nobody has open, with two jobs, one of which has states of several pages.
class StoreDamageTest : public testing::Test {
 protected:
  using History = std::map<std::pair<std::string, uint64_t>, std::string>;  // states by job and step

  void SetUp() override {
    {
      const auto store = Store::Open(directory_.path());
      ASSERT_TRUE(store.ok()) << store.status();
      for (uint64_t tag = 1; tag <= kNewest; ++tag) {
        ASSERT_EQ((*store)->Apply({TestWrite("a", tag), TestWrite("large", tag, /*layers=*/3, /*experts=*/256)}),
                  absl::OkStatus());
      }
    }
    contents_ = ReadFile(Path());
    text_ = TextOf(directory_.path(), &history_);
    ASSERT_THAT(text_, HasSubstr("large"));
    ASSERT_EQ(contents_.size() % kPage, 0);
  }

  std::string Path() const { return absl::StrCat(directory_.path(), "/", kDatabaseName); }
  std::string LogPath() const { return Path() + "-wal"; }

  void Write(const std::string& path, const std::string& contents) const {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << contents;
  }

  // Everything that the directory remembers, or the error. `history`: the states that it gives for the kept versions;
  // none where it says that one is damaged or not kept, which nobody takes for another.
  static std::string TextOf(const std::string& directory, History* history) {
    history->clear();
    const auto store = Store::Open(directory);
    if (!store.ok()) return store.status().ToString();
    const auto records = (*store)->Load();
    if (!records.ok()) return records.status().ToString();
    for (const core::JobRecord& record : *records) {
      const std::string& job = record.state.spec().name();
      for (const core::VersionRecord& version : record.versions) {
        const auto state = (*store)->State(job, version.step);
        if (state.ok() && state->has_value()) (*history)[{job, version.step}] = (*state)->SerializeAsString();
      }
    }
    return Text(*records);
  }

  enum class Fate { kDetected, kHarmless, kWrong };

  // Opens the directory with `contents` for a database, and no log.
  Fate FateOf(const std::string& contents) const {
    std::filesystem::remove(LogPath());
    std::filesystem::remove(Path() + "-shm");
    Write(Path(), contents);
    History history;
    last_ = TextOf(directory_.path(), &history);
    for (const auto& [step, state] : history) {
      if (state != history_.at(step)) return Fate::kWrong;
    }
    if (last_ == text_) return history.size() == history_.size() ? Fate::kHarmless : Fate::kDetected;
    const bool refused = absl::StartsWith(last_, "DATA_LOSS: ") || absl::StartsWith(last_, "FAILED_PRECONDITION: ") ||
                         absl::StartsWith(last_, "UNAVAILABLE: ") || absl::StartsWith(last_, "INTERNAL: ");
    return refused ? Fate::kDetected : Fate::kWrong;
  }

  ScratchDirectory directory_;
  std::string contents_;
  std::string text_;
  History history_;
  mutable std::string last_;
};

// Every byte of what holds a page together, and a sample of the others, in every page of the file.
TEST_F(StoreDamageTest, AFlippedBitIsFoundOrDoesNothing) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  std::vector<size_t> places;
  for (size_t page = 0; page < contents_.size(); page += kPage) {
    for (size_t byte = 0; byte < (page == 0 ? 120 : 24); ++byte) places.push_back(page + byte);
    for (int sample = 0; sample < 30; ++sample) places.push_back(page + random() % kPage);
    // Where the rows are: at the end of a page.
    for (int sample = 0; sample < 120; ++sample) places.push_back(page + kPage - 1 - random() % 800);
  }
  int detected = 0;
  for (const size_t place : places) {
    std::string contents = contents_;
    contents[place] ^= 1 << random() % 8;
    const Fate fate = FateOf(contents);
    detected += fate == Fate::kDetected;
    ASSERT_NE(fate, Fate::kWrong) << "byte " << place << ": " << FirstDifference(text_, last_);
  }
  std::cout << "fault bit flipped in the database: " << places.size() << " injected, " << detected
            << " detected, the others without effect, 0 served\n";
  EXPECT_GT(detected, static_cast<int>(places.size() / 4));
}

TEST_F(StoreDamageTest, AFileThatLostOrGainedBytesIsFoundOrAsItWas) {
  for (const size_t size : {size_t{2}, size_t{100}, kPage - 1, kPage, contents_.size() - kPage, contents_.size() - 1}) {
    EXPECT_EQ(FateOf(contents_.substr(0, size)), Fate::kDetected) << size;
  }
  for (const size_t size : {size_t{1}, kPage, 3 * kPage}) {
    for (const char byte : {'\0', '\x5a'})
      EXPECT_NE(FateOf(contents_ + std::string(size, byte)), Fate::kWrong) << last_;
  }
  EXPECT_NE(FateOf("garbage" + contents_), Fate::kHarmless);
}

// A page that takes the place of another, whole: as after a write that went astray.
TEST_F(StoreDamageTest, APageInThePlaceOfAnotherIsFound) {
  const size_t pages = contents_.size() / kPage;
  int detected = 0, tried = 0;
  for (size_t from = 1; from < pages; ++from) {
    for (size_t to = 1; to < pages; ++to) {
      if (contents_.compare(from * kPage, kPage, contents_, to * kPage, kPage) == 0) continue;
      std::string contents = contents_;
      contents.replace(to * kPage, kPage, contents_, from * kPage, kPage);
      const Fate fate = FateOf(contents);
      ASSERT_NE(fate, Fate::kWrong) << "page " << from << " for " << to << ": " << FirstDifference(text_, last_);
      detected += fate == Fate::kDetected;
      ++tried;
    }
  }
  std::cout << "fault page written astray: " << tried << " injected, " << detected
            << " detected, the others without effect, 0 served\n";
}

}  // namespace
}  // namespace evenkeel::store
