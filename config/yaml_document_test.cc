#include "config/yaml_document.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::config {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// The tree in a short notation: 'quoted', plain, ~ for null, [a b], {key:value}.
std::string Show(const YamlNode& node) {
  const auto show_child = [](std::string* out, const YamlNode& child) { out->append(Show(child)); };
  const auto show_entry = [](std::string* out, const YamlNode& child) {
    absl::StrAppend(out, child.key, ":", Show(child));
  };
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "~";
    case YamlNode::Kind::kScalar:
      return node.quoted ? absl::StrCat("'", node.text, "'") : node.text;
    case YamlNode::Kind::kList:
      return absl::StrCat("[", absl::StrJoin(node.children, " ", show_child), "]");
    case YamlNode::Kind::kMap:
      break;
  }
  return absl::StrCat("{", absl::StrJoin(node.children, " ", show_entry), "}");
}

std::string Parsed(absl::string_view text) {
  const absl::StatusOr<YamlNode> root = ParseYaml(text, "t");
  return root.ok() ? Show(*root) : std::string(root.status().message());
}

TEST(YamlDocumentTest, ReadsJsonAndYamlAsOneTree) {
  EXPECT_EQ(Parsed(R"({"a":1,"b":[1,-2.5,"x"],"c":{"d":true,"e":null}})"), "{a:1 b:[1 -2.5 'x'] c:{d:true e:~}}");
  EXPECT_EQ(Parsed("{\n\t\"a\":\t8,\n\t\"b\": []\n}\n"), "{a:8 b:[]}");
  EXPECT_EQ(Parsed("# words\na: 1\nb:\n  - 1\n  - -2.5\n  - 'x'\nc:\n  d: true\n  e:\n"),
            "{a:1 b:[1 -2.5 'x'] c:{d:true e:~}}");
  EXPECT_EQ(Parsed("---\na: 127.0.0.1:7411  # words\n..."), "{a:127.0.0.1:7411}");
  EXPECT_EQ(Parsed("\xef\xbb\xbf{\"a\": \"\\u5e73\\t\\\"\"}"), "{a:'\xe5\xb9\xb3\t\"'}");
  EXPECT_EQ(Parsed("a: |\n  two\n  lines\n"), "{a:'two\nlines\n'}");
  EXPECT_EQ(Parsed("a: 1\r\nb: 2\r\n"), "{a:1 b:2}");
  EXPECT_EQ(Parsed("a: 1\na: 2"), "{a:1 a:2}");
  EXPECT_EQ(Parsed("5"), "5");
}

TEST(YamlDocumentTest, PlacesCountFromOne) {
  const absl::StatusOr<YamlNode> root = ParseYaml("a: 1\nlist:\n  - 5\n  -   six\n", "t");
  ASSERT_TRUE(root.ok()) << root.status();
  const YamlNode& list = root->children.at(1);
  EXPECT_EQ(list.key_place.line, 2);
  EXPECT_EQ(list.key_place.column, 1);
  EXPECT_EQ(list.children.at(1).place.line, 4);
  EXPECT_EQ(list.children.at(1).place.column, 7);
}

TEST(YamlDocumentTest, MalformedTextIsRefusedWithItsPlace) {
  const struct {
    absl::string_view text;
    absl::string_view message;
  } kCases[] = {
      {"", "t: empty"},
      {" \n# only words\n", "t: empty"},
      {R"({"a": 8)", "t:1:1: end of map flow not found"},
      {R"({"a": [1, 2})", "t:1:"},
      {R"({"a": "eight)", "t:1:"},
      {R"({"a": 8}})", "t:1:9: illegal flow end"},
      {R"({"a": 8 "b": 2})", "t:1:12: "},
      {R"({"a" 1})", "t:1:6: "},
      {R"({"a": 1,, "b": 2})", "t:1:9: a key must be a plain word"},
      {"a: 1\n  b: 2", "t:2:4: illegal map value"},
      {"a: @x", "t:1:4: unknown token"},
      {"{[1]: 2}", "t:1:2: a key must be a plain word"},
      {"{{a: 1}: 2}", "t:1:2: a key must be a plain word"},
      {"? \n: 1", "a key must be a plain word"},
      {"a: 1\n---\nb: 2", "a second document begins here"},
      {"{\"a\": 1} tail", "t:1:10: a second document begins here"},
      {"a: 1\n...\nb: 2", "a second document begins here"},
      {", , , ", "a second document begins here"},
      {"a: &x 1", "t:1:4: anchors are not accepted"},
      {"a: &x [1]\nb: *x", "t:1:4: anchors are not accepted"},
      {"&x {a: *x}", "t:1:1: anchors are not accepted"},
      {"a: *x", "t:1:4: the referenced anchor is not defined"},
      {"a: !!int 5", "t:1:4: tags are not accepted: \"tag:yaml.org,2002:int\""},
      {"!thing {a: 1}", "t:1:1: tags are not accepted: \"!thing\""},
      {"a: 1\nb: \x04 2", "t:2:4: control character 0x04"},
      {absl::string_view("a: 1\0", 5), "t:1:5: control character 0x00"},
      {"a: \x7f", "t:1:4: control character 0x7f"},
      {"a: \xff\xfe", "t: the text is not UTF-8"},
      {absl::string_view("\xff\xfe{\0}\0", 6), "control character 0x00"},
  };
  for (const auto& c : kCases) {
    const absl::StatusOr<YamlNode> root = ParseYaml(c.text, "t");
    ASSERT_EQ(root.status().code(), absl::StatusCode::kInvalidArgument) << c.text;
    EXPECT_THAT(std::string(root.status().message()), StartsWith("t:")) << c.text;
    EXPECT_THAT(std::string(root.status().message()), HasSubstr(c.message)) << c.text;
  }
}

TEST(YamlDocumentTest, DepthAndSizeAreLimited) {
  const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_EQ(Parsed(nested(kMaxTextDepth)), nested(kMaxTextDepth));
  EXPECT_THAT(Parsed(nested(kMaxTextDepth + 1)), HasSubstr("t:1:33: nested deeper than 32"));
  EXPECT_THAT(Parsed(nested(100000)), HasSubstr("nested deeper than 32"));

  const std::string longest = "a: " + std::string(kMaxTextBytes - 3, 'x');
  EXPECT_TRUE(ParseYaml(longest, "t").ok());
  EXPECT_EQ(Parsed(longest + "x"), "t: 1048577 bytes are more than the 1048576 that a text may have");
}

TEST(YamlDocumentTest, MessagesQuoteSafelyAndBriefly) {
  EXPECT_EQ(Quoted("a\"b\n\x01\xe5\xb9\xb3"), "\"a\\\"b\\n\\001\xe5\xb9\xb3\"");
  EXPECT_EQ(Quoted(std::string(1000, 'x')), "\"" + std::string(64, 'x') + "...\"");
}

}  // namespace
}  // namespace evenkeel::config
