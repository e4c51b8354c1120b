#include "config/utf8.h"

#include <string>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace evenkeel::config {
namespace {

TEST(Utf8Test, TakesEveryLengthUpToItsBounds) {
  for (const absl::string_view text :
       {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
        "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "experts \xe5\xb9\xb3\xe8\xa1\xa1 \xf0\x9f\x9a\xa2 even"}) {
    EXPECT_TRUE(IsUtf8(text)) << testing::PrintToString(text);
  }
}

TEST(Utf8Test, RefusesWhatRfc3629Refuses) {
  for (const absl::string_view text : {
           "\x80",              // a continuation with nothing before it
           "\xff",              // no form begins so
           "\xf8\x88\x80\x80",  // five-byte form
           "\xc0\xaf",          // overlong
           "\xc1\xbf",
           "\xe0\x9f\xbf",
           "\xf0\x8f\xbf\xbf",
           "\xed\xa0\x80",  // surrogate
           "\xed\xbf\xbf",
           "\xf4\x90\x80\x80",  // above U+10FFFF
           "\xc2",              // cut short
           "\xe2\x82",
           "\xf0\x9f\x9a",
           "\xe2\x82g",
       }) {
    EXPECT_FALSE(IsUtf8(text)) << testing::PrintToString(text);
    EXPECT_FALSE(IsUtf8("ok" + std::string(text))) << testing::PrintToString(text);
  }
}

}  // namespace
}  // namespace evenkeel::config
