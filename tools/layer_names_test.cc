#include "tools/layer_names.h"

#include <algorithm>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::tools {
namespace {

using testing::ElementsAre;

TEST(LayerNamesTest, NumbersCountAsNumbers) {
  std::vector<std::string> names = {
      "layers.10.gate", "layers.9.gate", "layers.9.a", "encoder.2", "layers.9", "layers.09", "10", "2", ""};
  std::sort(names.begin(), names.end(), NaturalLess);
  EXPECT_THAT(names, ElementsAre("", "2", "10", "encoder.2", "layers.09", "layers.9", "layers.9.a", "layers.9.gate",
                                 "layers.10.gate"));
}

TEST(LayerNamesTest, NoNumberIsTooLong) {
  EXPECT_TRUE(NaturalLess("a99999999999999999999999999999999999998", "a99999999999999999999999999999999999999"));
  EXPECT_FALSE(NaturalLess("a1", "a1"));
}

TEST(LayerNamesTest, WhatAllHaveIsLeftOut) {
  EXPECT_THAT(ShortNames({"model.layers.3.mlp.gate", "model.layers.12.mlp.gate"}), ElementsAre("3", "12"));
  EXPECT_THAT(ShortNames({"encoder.1.gate", "decoder.1.gate"}), ElementsAre("encoder", "decoder"));
  EXPECT_THAT(ShortNames({"a.1.b.gate", "a.22.c.gate"}), ElementsAre("1.b", "22.c"));
}

TEST(LayerNamesTest, NoNameIsLeftEmpty) {
  EXPECT_THAT(ShortNames({"model.layers.3"}), ElementsAre("model.layers.3"));
  EXPECT_THAT(ShortNames({"a", "a.b"}), ElementsAre("a", "a.b"));
  EXPECT_THAT(ShortNames({"a", "a"}), ElementsAre("a", "a"));
  EXPECT_THAT(ShortNames({}), ElementsAre());
}

}  // namespace
}  // namespace evenkeel::tools
