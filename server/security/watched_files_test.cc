#include "server/security/watched_files.h"

#include <cstdio>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::security {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class WatchedFilesTest : public ::testing::Test {
 protected:
  WatchedFilesTest() {
    Write(a_, "a1");
    Write(b_, "b1");
  }

  static void Write(const std::string& path, const std::string& text) {
    std::ofstream(path + ".new") << text;
    std::rename((path + ".new").c_str(), path.c_str());
  }
  static std::string Read(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  absl::Status Add() {
    return files_.Add({a_, b_}, [this] {
      const std::string text = absl::StrCat(Read(a_), Read(b_));
      if (text.find("bad") != std::string::npos) return absl::InvalidArgumentError("it is bad");
      loaded_.push_back(text);
      return absl::OkStatus();
    });
  }

  const std::string a_ = testing::TempDir() + "/watched_a";
  const std::string b_ = testing::TempDir() + "/watched_b";
  std::vector<std::string> loaded_;
  std::vector<std::string> log_;
  WatchedFiles files_{[this](const LogEvent& event) { log_.push_back(event.message); }};
};

TEST_F(WatchedFilesTest, AChangeIsLoadedOnce) {
  ASSERT_TRUE(Add().ok());
  files_.Poll();
  EXPECT_THAT(loaded_, ElementsAre("a1b1"));
  EXPECT_THAT(log_, IsEmpty());
  Write(b_, "b2");
  files_.Poll();
  files_.Poll();
  EXPECT_THAT(loaded_, ElementsAre("a1b1", "a1b2"));
  EXPECT_THAT(log_, ElementsAre(HasSubstr("read again: " + a_ + ", " + b_)));
}

TEST_F(WatchedFilesTest, WhatCannotBeUsedIsToldOnceAndMendedLater) {
  ASSERT_TRUE(Add().ok());
  Write(a_, "bad");
  files_.Poll();
  files_.Poll();
  EXPECT_THAT(loaded_, ElementsAre("a1b1"));
  EXPECT_THAT(log_, ElementsAre(HasSubstr("goes on with what was read before: it is bad")));
  Write(a_, "a3");
  files_.Poll();
  EXPECT_THAT(loaded_, ElementsAre("a1b1", "a3b1"));
}

TEST_F(WatchedFilesTest, ReloadNeedsNoChange) {
  ASSERT_TRUE(Add().ok());
  files_.Reload();
  EXPECT_THAT(loaded_, ElementsAre("a1b1", "a1b1"));
}

TEST_F(WatchedFilesTest, WhatIsBadAtFirstIsAnError) {
  Write(a_, "bad");
  EXPECT_EQ(Add().message(), "it is bad");
  Write(a_, "good");
  files_.Poll();
  EXPECT_THAT(loaded_, IsEmpty());
}

}  // namespace
}  // namespace evenkeel::security
