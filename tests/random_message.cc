#include "tests/random_message.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <limits>

namespace evenkeel::tests {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr int kMaxElements = 64;

float RandomFloat(Choices* choices) {
  constexpr float kValues[] = {0,
                               -0.0f,
                               1,
                               -1,
                               0.5f,
                               1e-3f,
                               1e30f,
                               -1e30f,
                               1e-45f,
                               std::numeric_limits<float>::infinity(),
                               std::numeric_limits<float>::quiet_NaN()};
  return kValues[choices->Below(std::size(kValues))];
}

int RandomEnum(const FieldDescriptor& field, Choices* choices) {
  const auto& type = *field.enum_type();
  const int place = static_cast<int>(choices->Below(type.value_count() + 1));
  return place < type.value_count() ? type.value(place)->number() : 99;
}

// Sets a scalar, or one element of a repeated one. `Set` and `SetRepeated` differ in an argument.
#define EVENKEEL_SET(Type, value)                                                 \
  if (element < 0) {                                                              \
    message->GetReflection()->Set##Type(message, &field, value);                  \
  } else {                                                                        \
    message->GetReflection()->SetRepeated##Type(message, &field, element, value); \
  }                                                                               \
  break

void SetScalar(const FieldDescriptor& field, int element, Choices* choices, Message* message) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      EVENKEEL_SET(Int32, static_cast<int32_t>(choices->Number()));
    case FieldDescriptor::CPPTYPE_INT64:
      EVENKEEL_SET(Int64, static_cast<int64_t>(choices->Number()));
    case FieldDescriptor::CPPTYPE_UINT32:
      EVENKEEL_SET(UInt32, static_cast<uint32_t>(choices->Number()));
    case FieldDescriptor::CPPTYPE_UINT64:
      EVENKEEL_SET(UInt64, choices->Number());
    case FieldDescriptor::CPPTYPE_FLOAT:
      EVENKEEL_SET(Float, RandomFloat(choices));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      EVENKEEL_SET(Double, RandomFloat(choices));
    case FieldDescriptor::CPPTYPE_BOOL:
      EVENKEEL_SET(Bool, choices->Below(2) != 0);
    case FieldDescriptor::CPPTYPE_ENUM:
      EVENKEEL_SET(EnumValue, RandomEnum(field, choices));
    case FieldDescriptor::CPPTYPE_STRING:
      EVENKEEL_SET(String, choices->Text(choices->Below(4) == 0 ? 300 : 3));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
}

#undef EVENKEEL_SET

void AddElement(const FieldDescriptor& field, Choices* choices, Message* message) {
  const Reflection* reflection = message->GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection->AddInt32(message, &field, static_cast<int32_t>(choices->Number()));
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection->AddInt64(message, &field, static_cast<int64_t>(choices->Number()));
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection->AddUInt32(message, &field, static_cast<uint32_t>(choices->Number()));
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection->AddUInt64(message, &field, choices->Number());
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection->AddFloat(message, &field, RandomFloat(choices));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection->AddDouble(message, &field, RandomFloat(choices));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->AddBool(message, &field, choices->Below(2) != 0);
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection->AddEnumValue(message, &field, RandomEnum(field, choices));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection->AddString(message, &field, choices->Text(3));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      Message* const added = reflection->AddMessage(message, &field);
      const int size = reflection->FieldSize(*message, &field);
      if (size > 1)
        added->CopyFrom(reflection->GetRepeatedMessage(*message, &field, static_cast<int>(choices->Below(size - 1))));
  }
}

void MutateRepeated(const FieldDescriptor& field, Choices* choices, Message* message) {
  const Reflection* reflection = message->GetReflection();
  const int size = reflection->FieldSize(*message, &field);
  const uint64_t what = choices->Below(8);
  if (size == 0 || (what == 0 && size < kMaxElements)) return AddElement(field, choices, message);
  const int element = static_cast<int>(choices->Below(size));
  if (what == 1) return reflection->RemoveLast(message, &field);
  if (what == 2) return reflection->ClearField(message, &field);
  if (what == 3) return reflection->SwapElements(message, &field, element, size - 1);
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    return Mutate(choices, reflection->MutableRepeatedMessage(message, &field, element));
  }
  SetScalar(field, element, choices, message);
}

}  // namespace

uint64_t Choices::Next(int bytes) {
  uint64_t value = 0;
  const size_t count = std::min<size_t>(bytes, bytes_.size());
  std::memcpy(&value, bytes_.data(), count);
  bytes_.remove_prefix(count);
  return value;
}

uint64_t Choices::Below(uint64_t n) { return Next(n <= 256 ? 1 : 2) % n; }

uint64_t Choices::Number() {
  const uint64_t kind = Below(8);
  const uint64_t small = Next(1);
  switch (kind) {
    case 0:
      return Next(8);
    case 1:
      return uint64_t{0} - small;
    case 2:
      return (uint64_t{1} << (small % 64)) - small / 64;
    case 3:
      return uint64_t{std::numeric_limits<int32_t>::max()} + small % 4;
    default:
      return small % (kind == 4 ? 256 : 8);
  }
}

std::string Choices::Text(size_t size) {
  std::string text;
  for (uint64_t length = Below(size + 1); length > 0; --length) text.push_back(static_cast<char>(Below(128)));
  return text;
}

void Mutate(Choices* choices, Message* message) {
  const auto& type = *message->GetDescriptor();
  if (type.field_count() == 0) return;
  const FieldDescriptor& field = *type.field(static_cast<int>(choices->Below(type.field_count())));
  const Reflection* reflection = message->GetReflection();
  if (field.is_repeated()) return MutateRepeated(field, choices, message);
  if (choices->Below(8) == 0) return reflection->ClearField(message, &field);
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
    return SetScalar(field, /*element=*/-1, choices, message);
  }
  Mutate(choices, reflection->MutableMessage(message, &field));
}

}  // namespace evenkeel::tests
