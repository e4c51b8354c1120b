#include "config/text_file.h"

#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "config/yaml_document.h"
#include "gtest/gtest.h"

namespace evenkeel::config {
namespace {

std::string Write(const std::string& bytes) {
  const std::string path = testing::TempDir() + "/text";
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

TEST(TextFileTest, BytesArriveAsTheyAre) {
  const std::string bytes("a\r\n\0b\xff", 6);
  EXPECT_EQ(ReadTextFile(Write(bytes)).value(), bytes);
  EXPECT_EQ(ReadTextFile(Write("")).value(), "");
}

TEST(TextFileTest, OfTooManyBytesOneTooManyIsRead) {
  EXPECT_EQ(ReadTextFile(Write(std::string(kMaxTextBytes, ' '))).value().size(), kMaxTextBytes);
  EXPECT_EQ(ReadTextFile(Write(std::string(kMaxTextBytes + 99, ' '))).value().size(), kMaxTextBytes + 1);
}

TEST(TextFileTest, WhatCannotBeReadIsNamed) {
  const absl::Status missing = ReadTextFile("/nonexistent/text").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(missing.message(), "/nonexistent/text: No such file or directory");
  EXPECT_FALSE(ReadTextFile(testing::TempDir()).ok()) << "a folder";
}

}  // namespace
}  // namespace evenkeel::config
