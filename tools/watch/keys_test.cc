#include "tools/watch/keys.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::tools {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<Key> Take(std::string bytes) {
  std::vector<Key> keys = TakeKeys(&bytes);
  EXPECT_EQ(bytes, "");
  return keys;
}

TEST(KeysTest, LettersAndArrows) {
  EXPECT_THAT(Take("jkq\t"), ElementsAre(Key::kDown, Key::kUp, Key::kQuit, Key::kNextJob));
  EXPECT_THAT(Take("\x1b[A\x1b[B\x1b[C\x1b[D\x1b[Z"),
              ElementsAre(Key::kUp, Key::kDown, Key::kNextJob, Key::kPreviousJob, Key::kPreviousJob));
  EXPECT_THAT(Take("\x1bOA\x1bOB"), ElementsAre(Key::kUp, Key::kDown));
  EXPECT_THAT(Take("\x1b[1;5A"), ElementsAre(Key::kUp)) << "with a modifier";
}

TEST(KeysTest, OtherKeysAreNothing) {
  // Page up, F5, Alt-x, an umlaut; the letters within sequences are none.
  EXPECT_THAT(Take("\x1b[5~\x1b[15~\x1bx\xc3\xa4 z"), IsEmpty());
  EXPECT_THAT(Take("\x1b[5~q"), ElementsAre(Key::kQuit));
}

TEST(KeysTest, ASequenceMayComeInPieces) {
  std::string bytes = "\x1b";
  EXPECT_THAT(TakeKeys(&bytes), IsEmpty());
  bytes += "[";
  EXPECT_THAT(TakeKeys(&bytes), IsEmpty());
  bytes += "Bq";
  EXPECT_THAT(TakeKeys(&bytes), ElementsAre(Key::kDown, Key::kQuit));
  EXPECT_EQ(bytes, "");
}

}  // namespace
}  // namespace evenkeel::tools
