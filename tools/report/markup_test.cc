#include "tools/report/markup.h"

#include <cmath>
#include <string>

#include "gtest/gtest.h"

namespace evenkeel::tools {
namespace {

TEST(MarkupTest, WhatMeansSomethingIsEscaped) {
  EXPECT_EQ(Escaped("a<script>alert(\"x\" & 'y')</script>"),
            "a&lt;script&gt;alert(&quot;x&quot; &amp; &#39;y&#39;)&lt;/script&gt;");
  EXPECT_EQ(Escaped("a\nb\x1b[2J\x7f"), "a?b?[2J?");
  EXPECT_EQ(Escaped(std::string("a\0b", 3)), "a?b");
}

TEST(MarkupTest, OnlyUtf8IsLetThrough) {
  EXPECT_EQ(Escaped("\xe5\xb1\x82 \xf0\x9f\x99\x82"), "\xe5\xb1\x82 \xf0\x9f\x99\x82");
  EXPECT_EQ(Escaped("\xe5\xb1"), "??");
  EXPECT_EQ(Escaped("\xff<\xc0\xbc"), "?&lt;??");
  EXPECT_EQ(Escaped("\xe5<>"), "?&lt;&gt;") << "no byte is swallowed that means something";
}

TEST(MarkupTest, NumbersAreShort) {
  EXPECT_EQ(ShortNumber(.125), "0.125");
  EXPECT_EQ(ShortNumber(-12.345), "-12.35");
  EXPECT_EQ(ShortNumber(1234.56), "1234.6");
  EXPECT_EQ(ShortNumber(.00001234), "1.2e-05");
  EXPECT_EQ(ShortNumber(0), "0.000");
  EXPECT_EQ(ShortNumber(std::nan("")), "-");
  EXPECT_EQ(Grouped(0), "0");
  EXPECT_EQ(Grouped(999), "999");
  EXPECT_EQ(Grouped(1234567),
            "1\xe2\x80\xaf"
            "234\xe2\x80\xaf"
            "567");
}

}  // namespace
}  // namespace evenkeel::tools
