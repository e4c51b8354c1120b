#include "config/yaml_document.h"

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <exception>
#include <sstream>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "config/utf8.h"

namespace evenkeel::config {
namespace {

constexpr size_t kMaxQuotedBytes = 64;

Place PlaceOf(const YAML::Mark& mark) { return {mark.line + 1, mark.column + 1}; }

std::string TooDeep() { return absl::StrCat("nested deeper than ", kMaxTextDepth); }

// Makes the tree from yaml-cpp's events. After the first error, of which it keeps the place, it ignores them.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(absl::string_view origin) : origin_(origin) {}

  const absl::Status& status() const { return status_; }
  YamlNode TakeRoot() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) Fail(PlaceOf(mark), "a second document begins here; there must be one");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Add(MakeNode(YamlNode::Kind::kNull, mark), kPlainTag, anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { Fail(PlaceOf(mark), "aliases are not accepted"); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode node = MakeNode(YamlNode::Kind::kScalar, mark);
    node.text = value;
    node.quoted = tag == kQuotedTag;
    Add(std::move(node), tag, anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(Add(MakeNode(YamlNode::Kind::kList, mark), tag, anchor));
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(Add(MakeNode(YamlNode::Kind::kMap, mark), tag, anchor));
  }
  void OnMapEnd() override { Close(); }

 private:
  // yaml-cpp's words for text without a tag.
  static constexpr absl::string_view kPlainTag = "?";
  static constexpr absl::string_view kQuotedTag = "!";

  static YamlNode MakeNode(YamlNode::Kind kind, const YAML::Mark& mark) {
    YamlNode node;
    node.kind = kind;
    node.place = PlaceOf(mark);
    return node;
  }

  // Puts the node in its place in the tree and answers where; null when it was a key, or an error.
  YamlNode* Add(YamlNode node, absl::string_view tag, YAML::anchor_t anchor) {
    if (!status_.ok()) return nullptr;
    if (anchor != 0) return Fail(node.place, "anchors are not accepted");
    if (!tag.empty() && tag != kPlainTag && tag != kQuotedTag) {
      return Fail(node.place, absl::StrCat("tags are not accepted: ", Quoted(tag)));
    }
    if (open_.empty()) {
      root_ = std::move(node);
      return &root_;
    }
    YamlNode* parent = open_.back();
    if (parent->kind == YamlNode::Kind::kMap) {
      if (!has_key_) return TakeKey(std::move(node));
      node.key = std::move(key_);
      node.key_place = key_place_;
      has_key_ = false;
    }
    return &parent->children.emplace_back(std::move(node));
  }

  YamlNode* TakeKey(YamlNode node) {
    if (node.kind != YamlNode::Kind::kScalar) return Fail(node.place, "a key must be a plain word");
    key_ = std::move(node.text);
    key_place_ = node.place;
    has_key_ = true;
    return nullptr;
  }

  void Open(YamlNode* node) {
    if (node == nullptr) return;
    open_.push_back(node);
    if (open_.size() > kMaxTextDepth) Fail(node->place, TooDeep());
  }

  void Close() {
    if (status_.ok()) open_.pop_back();
  }

  YamlNode* Fail(Place place, absl::string_view message) {
    status_.Update(ErrorAt(origin_, place, message));
    return nullptr;
  }

  const absl::string_view origin_;
  absl::Status status_;
  int documents_ = 0;
  YamlNode root_;
  std::vector<YamlNode*> open_;  // from the root down; only the last one grows, so all pointers hold
  bool has_key_ = false;         // of the innermost open map: key_ waits for its value
  std::string key_;
  Place key_place_;
};

// yaml-cpp takes some of these characters for the end of the text.
absl::Status CheckCharacters(absl::string_view text, absl::string_view origin) {
  Place place{1, 1};
  for (const char c : text) {
    const bool is_control = static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t';
    if (is_control || c == 0x7f) {
      return ErrorAt(origin, place, absl::StrCat("control character 0x", absl::Hex(c, absl::kZeroPad2)));
    }
    ++place.column;
    if (c == '\n') place = {place.line + 1, 1};
  }
  if (!IsUtf8(text)) return absl::InvalidArgumentError(absl::StrCat(origin, ": the text is not UTF-8"));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<YamlNode> ParseYaml(absl::string_view text, absl::string_view origin) {
  if (text.size() > kMaxTextBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(origin, ": ", text.size(), " bytes are more than the ", kMaxTextBytes, " that a text may have"));
  }
  EVENKEEL_RETURN_IF_ERROR(CheckCharacters(text, origin));
  TreeBuilder builder(origin);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) return absl::InvalidArgumentError(absl::StrCat(origin, ": empty"));
    // Never more than twice: on some malformed texts yaml-cpp finds documents for ever.
    parser.HandleNextDocument(builder);
  } catch (const YAML::DeepRecursion& exception) {
    return ErrorAt(origin, PlaceOf(exception.mark), TooDeep());
  } catch (const YAML::ParserException& exception) {
    // Before what the builder has to say, which may be about brackets that yaml-cpp supplied.
    return ErrorAt(origin, PlaceOf(exception.mark), exception.msg);
  } catch (const std::exception& exception) {
    return absl::InvalidArgumentError(absl::StrCat(origin, ": ", exception.what()));
  }
  EVENKEEL_RETURN_IF_ERROR(builder.status());
  return builder.TakeRoot();
}

absl::Status ErrorAt(absl::string_view origin, Place place, absl::string_view message) {
  return absl::InvalidArgumentError(absl::StrCat(origin, ":", place.line, ":", place.column, ": ", message));
}

std::string Quoted(absl::string_view text) {
  const bool is_long = text.size() > kMaxQuotedBytes;
  return absl::StrCat("\"", absl::Utf8SafeCEscape(text.substr(0, kMaxQuotedBytes)), is_long ? "...\"" : "\"");
}

}  // namespace evenkeel::config
