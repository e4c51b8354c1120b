#include "config/text.h"

#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "config/number_text.h"
#include "config/text_file.h"
#include "config/yaml_document.h"
#include "google/protobuf/descriptor.h"

namespace evenkeel::config {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Where a value goes: set, or added to a repeated field.
struct Slot {
  Message* message;
  const FieldDescriptor* field;

#define EVENKEEL_PUT(Type, Name)                                      \
  void Put(Type value) const {                                        \
    const google::protobuf::Reflection* r = message->GetReflection(); \
    if (field->is_repeated()) {                                       \
      r->Add##Name(message, field, value);                            \
    } else {                                                          \
      r->Set##Name(message, field, value);                            \
    }                                                                 \
  }
  EVENKEEL_PUT(int32_t, Int32)
  EVENKEEL_PUT(int64_t, Int64)
  EVENKEEL_PUT(uint32_t, UInt32)
  EVENKEEL_PUT(uint64_t, UInt64)
  EVENKEEL_PUT(float, Float)
  EVENKEEL_PUT(double, Double)
  EVENKEEL_PUT(bool, Bool)
  EVENKEEL_PUT(const std::string&, String)
  EVENKEEL_PUT(const EnumValueDescriptor*, Enum)
#undef EVENKEEL_PUT

  Message* Child() const {
    const google::protobuf::Reflection* r = message->GetReflection();
    return field->is_repeated() ? r->AddMessage(message, field) : r->MutableMessage(message, field);
  }
};

const FieldDescriptor* FindField(const Descriptor& type, const std::string& key) {
  const FieldDescriptor* field = type.FindFieldByName(key);
  return field != nullptr ? field : type.FindFieldByCamelcaseName(key);
}

std::string FieldNames(const Descriptor& type) {
  std::vector<absl::string_view> names;
  for (int i = 0; i < type.field_count(); ++i) names.push_back(type.field(i)->name());
  return absl::StrJoin(names, ", ");
}

// Without the zero value of proto3 style, which stands for absent.
std::string ValueNames(const EnumDescriptor& type) {
  std::vector<absl::string_view> names;
  for (int i = 0; i < type.value_count(); ++i) {
    const absl::string_view name = type.value(i)->name();
    if (!absl::EndsWith(name, "_UNSPECIFIED")) names.push_back(name);
  }
  return absl::StrJoin(names, ", ");
}

// One text being read. `path` names the field being read: "schedule.points[1].ratio", or "" for the whole message.
class Reader {
 public:
  explicit Reader(absl::string_view origin) : origin_(origin) {}

  absl::Status ReadMessage(const YamlNode& node, const std::string& path, Message* message) const {
    if (node.kind != YamlNode::Kind::kMap) return Refused(node, path, "is not a set of fields");
    const Descriptor& type = *message->GetDescriptor();
    absl::flat_hash_set<const FieldDescriptor*> seen;
    for (const YamlNode& child : node.children) {
      const FieldDescriptor* field = FindField(type, child.key);
      if (field == nullptr) {
        return KeyRefused(child, path, absl::StrCat("is no field; the fields are ", FieldNames(type)));
      }
      if (!seen.insert(field).second) return KeyRefused(child, path, "is given twice");
      const std::string field_path = absl::StrCat(path, path.empty() ? "" : ".", field->name());
      EVENKEEL_RETURN_IF_ERROR(ReadField(child, field_path, {message, field}));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status ReadField(const YamlNode& node, const std::string& path, Slot slot) const {
    if (node.kind == YamlNode::Kind::kNull) return absl::OkStatus();
    if (!slot.field->is_repeated()) return ReadValue(node, path, slot);
    if (node.kind != YamlNode::Kind::kList) return Refused(node, path, "is not a list");
    for (size_t i = 0; i < node.children.size(); ++i) {
      EVENKEEL_RETURN_IF_ERROR(ReadValue(node.children[i], absl::StrCat(path, "[", i, "]"), slot));
    }
    return absl::OkStatus();
  }

  absl::Status ReadValue(const YamlNode& node, const std::string& path, Slot slot) const {
    if (slot.field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) return ReadMessage(node, path, slot.Child());
    if (node.kind != YamlNode::Kind::kScalar) return Refused(node, path, "is not a single value");
    const absl::Status status = ReadScalar(node, slot);
    return status.ok() ? status : Refused(node, path, status.message());
  }

  // Errors are the end of a sentence that the value begins.
  static absl::Status ReadScalar(const YamlNode& node, Slot slot) {
    switch (slot.field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return ReadNumber<int32_t>(node, slot);
      case FieldDescriptor::CPPTYPE_INT64:
        return ReadNumber<int64_t>(node, slot);
      case FieldDescriptor::CPPTYPE_UINT32:
        return ReadNumber<uint32_t>(node, slot);
      case FieldDescriptor::CPPTYPE_UINT64:
        return ReadNumber<uint64_t>(node, slot);
      case FieldDescriptor::CPPTYPE_FLOAT:
        return ReadNumber<float>(node, slot);
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return ReadNumber<double>(node, slot);
      case FieldDescriptor::CPPTYPE_BOOL:
        return ReadBool(node, slot);
      case FieldDescriptor::CPPTYPE_ENUM:
        return ReadEnum(node, slot);
      case FieldDescriptor::CPPTYPE_STRING:
        return ReadString(node, slot);
      case FieldDescriptor::CPPTYPE_MESSAGE:
        break;
    }
    EVENKEEL_CHECK(slot.field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE);
    return absl::OkStatus();
  }

  template <typename Number>
  static absl::Status ReadNumber(const YamlNode& node, Slot slot) {
    Number value = 0;
    absl::Status status;
    if constexpr (std::is_integral_v<Number>) {
      status = ParseInteger(node.text, &value);
    } else {
      status = ParseFloat(node.text, &value);
    }
    if (status.ok()) slot.Put(value);
    return status;
  }

  static absl::Status ReadBool(const YamlNode& node, Slot slot) {
    if (node.quoted || (node.text != "true" && node.text != "false")) {
      return absl::InvalidArgumentError("is not true or false");
    }
    slot.Put(node.text == "true");
    return absl::OkStatus();
  }

  static absl::Status ReadEnum(const YamlNode& node, Slot slot) {
    const EnumDescriptor& type = *slot.field->enum_type();
    const EnumValueDescriptor* value = type.FindValueByName(node.text);
    if (value == nullptr) return absl::InvalidArgumentError(absl::StrCat("is none of ", ValueNames(type)));
    slot.Put(value);
    return absl::OkStatus();
  }

  // A bare 5 or true is a number or a truth value, as in JSON.
  static absl::Status ReadString(const YamlNode& node, Slot slot) {
    EVENKEEL_CHECK(slot.field->type() == FieldDescriptor::TYPE_STRING);
    if (!node.quoted && (IsNumber(node.text) || node.text == "true" || node.text == "false")) {
      return absl::InvalidArgumentError("is not a string; put it in quotes");
    }
    slot.Put(node.text);
    return absl::OkStatus();
  }

  absl::Status Refused(const YamlNode& node, const std::string& path, absl::string_view why) const {
    return ErrorAt(origin_, node.place,
                   absl::StrCat(path.empty() ? "the text" : path, ": ", Described(node), " ", why));
  }

  absl::Status KeyRefused(const YamlNode& child, const std::string& path, absl::string_view why) const {
    return ErrorAt(origin_, child.key_place, absl::StrCat(path, path.empty() ? "" : ": ", Quoted(child.key), " ", why));
  }

  static std::string Described(const YamlNode& node) {
    switch (node.kind) {
      case YamlNode::Kind::kNull:
        return "null";
      case YamlNode::Kind::kScalar:
        return Quoted(node.text);
      case YamlNode::Kind::kList:
        return "a list";
      case YamlNode::Kind::kMap:
        break;
    }
    return "a set of fields";
  }

  const absl::string_view origin_;
};

}  // namespace

absl::Status ParseText(absl::string_view text, absl::string_view origin, Message* message) {
  EVENKEEL_ASSIGN_OR_RETURN(const YamlNode root, ParseYaml(text, origin));
  if (root.kind == YamlNode::Kind::kNull) return absl::InvalidArgumentError(absl::StrCat(origin, ": empty"));
  const std::unique_ptr<Message> parsed(message->New());
  EVENKEEL_RETURN_IF_ERROR(Reader(origin).ReadMessage(root, "", parsed.get()));
  message->GetReflection()->Swap(message, parsed.get());
  return absl::OkStatus();
}

absl::Status ParseFile(const std::string& path, Message* message) {
  EVENKEEL_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  return ParseText(text, path, message);
}

}  // namespace evenkeel::config
