#include "tools/safetensors/safetensors_header.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/json_text.h"
#include "base/status_macros.h"
#include "tools/safetensors/json_reader.h"

namespace evenkeel::tools {
namespace {

constexpr absl::string_view kMetadata = "__metadata__";

constexpr SafetensorsType kTypes[] = {
    {"BOOL", 8},    {"U8", 8},      {"I8", 8},          {"F8_E5M2", 8},     {"F8_E4M3", 8}, {"F8_E8M0", 8},
    {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4},          {"I16", 16},        {"U16", 16},    {"F16", 16},
    {"BF16", 16},   {"I32", 32},    {"U32", 32},        {"F32", 32},        {"I64", 64},    {"U64", 64},
    {"F64", 64},    {"C64", 64},    {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8},
};

constexpr int kFloat32Bytes = 4;

template <typename... Words>
absl::Status Invalid(const Words&... words) {
  return absl::InvalidArgumentError(absl::StrCat(words...));
}

absl::Status InTensor(absl::string_view name, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat("tensor ", QuotedName(name), ": ", status.message()));
}

absl::StatusOr<SafetensorsType> TypeOf(const std::string& name) {
  for (const SafetensorsType& type : kTypes) {
    if (type.name == name) return type;
  }
  const auto add_name = [](std::string* out, const SafetensorsType& type) { absl::StrAppend(out, type.name); };
  return Invalid("dtype ", QuotedName(name), " is none of ", absl::StrJoin(kTypes, ", ", add_name));
}

// "[" integers "]".
absl::StatusOr<std::vector<int64_t>> ReadIntegers(JsonReader* reader) {
  std::vector<int64_t> values;
  EVENKEEL_RETURN_IF_ERROR(reader->Expect('['));
  if (reader->Take(']')) return values;
  do {
    EVENKEEL_ASSIGN_OR_RETURN(values.emplace_back(), reader->Integer());
  } while (reader->Take(','));
  EVENKEEL_RETURN_IF_ERROR(reader->Expect(']'));
  return values;
}

// Calls `read_value` with each key of an object.
template <typename ReadValue>
absl::Status ReadObject(JsonReader* reader, const ReadValue& read_value) {
  EVENKEEL_RETURN_IF_ERROR(reader->Expect('{'));
  if (reader->Take('}')) return absl::OkStatus();
  do {
    EVENKEEL_ASSIGN_OR_RETURN(std::string key, reader->String());
    EVENKEEL_RETURN_IF_ERROR(reader->Expect(':'));
    EVENKEEL_RETURN_IF_ERROR(read_value(std::move(key)));
  } while (reader->Take(','));
  return reader->Expect('}');
}

absl::StatusOr<std::map<std::string, std::string>> ReadMetadata(JsonReader* reader) {
  std::map<std::string, std::string> metadata;
  const auto read_value = [&](std::string key) -> absl::Status {
    EVENKEEL_ASSIGN_OR_RETURN(std::string value, reader->String());
    if (metadata.emplace(key, std::move(value)).second) return absl::OkStatus();
    return Invalid(kMetadata, ": ", QuotedName(key), " is given twice");
  };
  EVENKEEL_RETURN_IF_ERROR(ReadObject(reader, read_value));
  return metadata;
}

// The bytes of all elements.
absl::StatusOr<uint64_t> DataBytes(const SafetensorsTensor& tensor) {
  int64_t bits = tensor.type.bits;
  bool is_empty = false;
  for (const int64_t dimension : tensor.shape) {
    is_empty |= dimension == 0;
    if (dimension != 0 && __builtin_mul_overflow(bits, dimension, &bits)) {
      return Invalid("shape ", SafetensorsShapeText(tensor.shape), " of ", tensor.type.name,
                     " has more than 2^63 bits");
    }
  }
  if (is_empty) return 0;
  if (bits % 8 == 0) return static_cast<uint64_t>(bits) / 8;
  return Invalid("shape ", SafetensorsShapeText(tensor.shape), " of ", tensor.type.name, " has ", bits,
                 " bits, no whole number of bytes");
}

absl::Status CheckOffsets(const SafetensorsTensor& tensor) {
  EVENKEEL_ASSIGN_OR_RETURN(const uint64_t bytes, DataBytes(tensor));
  if (tensor.begin <= tensor.end && tensor.end - tensor.begin == bytes) return absl::OkStatus();
  return Invalid("data_offsets [", tensor.begin, ", ", tensor.end, "] are not the ", bytes, " bytes of ",
                 tensor.type.name, " ", SafetensorsShapeText(tensor.shape));
}

absl::StatusOr<SafetensorsTensor> ReadTensor(JsonReader* reader) {
  SafetensorsTensor tensor;
  std::optional<SafetensorsType> type;
  std::optional<std::vector<int64_t>> shape;
  std::optional<std::vector<int64_t>> offsets;
  const auto read_value = [&](std::string key) -> absl::Status {
    if (key == "dtype" && !type.has_value()) {
      EVENKEEL_ASSIGN_OR_RETURN(const std::string name, reader->String());
      EVENKEEL_ASSIGN_OR_RETURN(type, TypeOf(name));
    } else if (key == "shape" && !shape.has_value()) {
      EVENKEEL_ASSIGN_OR_RETURN(shape, ReadIntegers(reader));
    } else if (key == "data_offsets" && !offsets.has_value()) {
      EVENKEEL_ASSIGN_OR_RETURN(offsets, ReadIntegers(reader));
    } else {
      return Invalid(QuotedName(key), " is an unknown key, or given twice");
    }
    return absl::OkStatus();
  };
  EVENKEEL_RETURN_IF_ERROR(ReadObject(reader, read_value));
  if (!type.has_value()) return Invalid("dtype is missing");
  if (!shape.has_value()) return Invalid("shape is missing");
  if (!offsets.has_value()) return Invalid("data_offsets is missing");
  if (offsets->size() != 2) return Invalid("data_offsets ", SafetensorsShapeText(*offsets), " are not two");
  tensor.type = *type;
  tensor.shape = *std::move(shape);
  tensor.begin = static_cast<uint64_t>(offsets->front());
  tensor.end = static_cast<uint64_t>(offsets->back());
  EVENKEEL_RETURN_IF_ERROR(CheckOffsets(tensor));
  return tensor;
}

// Sorts the tensors by their data, which must be all of the data, each byte once.
absl::Status PlaceTensors(uint64_t data_bytes, std::vector<SafetensorsTensor>* tensors) {
  std::sort(tensors->begin(), tensors->end(), [](const SafetensorsTensor& a, const SafetensorsTensor& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t end = 0;
  for (const SafetensorsTensor& tensor : *tensors) {
    if (tensor.begin != end) {
      return InTensor(tensor.name, Invalid("data_offsets [", tensor.begin, ", ", tensor.end, "] ",
                                           tensor.begin < end ? "overlap those of the tensor before, which ends"
                                                              : "leave a gap after the tensor before, which ends",
                                           " at ", end));
    }
    end = tensor.end;
    if (end > data_bytes) {
      return InTensor(tensor.name, Invalid("data_offsets [", tensor.begin, ", ", end, "] are beyond the ", data_bytes,
                                           " bytes of data"));
    }
  }
  if (end == data_bytes) return absl::OkStatus();
  return Invalid("data: ", data_bytes, " bytes are more than the ", end, " that the tensors have");
}

}  // namespace

absl::StatusOr<uint64_t> ParseSafetensorsLength(absl::string_view start, uint64_t file_bytes) {
  if (start.size() < kSafetensorsLengthBytes || file_bytes < kSafetensorsLengthBytes) {
    return Invalid("header length: the file ends before it, at byte ", std::min<uint64_t>(start.size(), file_bytes));
  }
  uint64_t length = 0;
  for (size_t i = kSafetensorsLengthBytes; i-- > 0;) length = length << 8 | static_cast<uint8_t>(start[i]);
  const uint64_t room = file_bytes - kSafetensorsLengthBytes;
  if (length > room) {
    return Invalid("header length: ", length, " is more than the ", room,
                   " bytes after it; is this a .safetensors file?");
  }
  if (length <= kMaxSafetensorsHeaderBytes) return length;
  return Invalid("header length: ", length, " is more than ", kMaxSafetensorsHeaderBytes);
}

absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(absl::string_view json, uint64_t data_bytes) {
  // The format has the object at the very first byte.
  if (json.substr(0, 1) != "{") return Invalid("header: '{' is missing at byte 0");
  SafetensorsHeader header;
  absl::flat_hash_set<std::string> names;
  JsonReader reader(json);
  const auto read_value = [&](std::string name) -> absl::Status {
    if (!names.insert(name).second) return InTensor(name, Invalid("is given twice"));
    if (name == kMetadata) {
      EVENKEEL_ASSIGN_OR_RETURN(header.metadata, ReadMetadata(&reader));
      return absl::OkStatus();
    }
    absl::StatusOr<SafetensorsTensor> tensor = ReadTensor(&reader);
    if (!tensor.ok()) return InTensor(name, tensor.status());
    tensor->name = std::move(name);
    header.tensors.push_back(*std::move(tensor));
    return absl::OkStatus();
  };
  EVENKEEL_RETURN_IF_ERROR(ReadObject(&reader, read_value));
  EVENKEEL_RETURN_IF_ERROR(reader.ExpectEnd());
  EVENKEEL_RETURN_IF_ERROR(PlaceTensors(data_bytes, &header.tensors));
  return header;
}

std::string FormatSafetensorsHeader(absl::Span<const SafetensorsTensor> tensors,
                                    const std::map<std::string, std::string>& metadata) {
  std::vector<std::string> members;
  if (!metadata.empty()) {
    const auto add_pair = [](std::string* out, const auto& pair) {
      absl::StrAppend(out, JsonString(pair.first), ":", JsonString(pair.second));
    };
    members.push_back(absl::StrCat("\"", kMetadata, "\":{", absl::StrJoin(metadata, ",", add_pair), "}"));
  }
  uint64_t begin = 0;
  for (const SafetensorsTensor& tensor : tensors) {
    uint64_t end = begin + kFloat32Bytes;
    for (const int64_t dimension : tensor.shape) end = begin + (end - begin) * static_cast<uint64_t>(dimension);
    members.push_back(absl::StrCat(JsonString(tensor.name), ":{\"dtype\":\"F32\",\"shape\":[",
                                   absl::StrJoin(tensor.shape, ","), "],\"data_offsets\":[", begin, ",", end, "]}"));
    begin = end;
  }
  std::string json = absl::StrCat("{", absl::StrJoin(members, ","), "}");
  json.append((kSafetensorsLengthBytes - json.size() % kSafetensorsLengthBytes) % kSafetensorsLengthBytes, ' ');
  std::string length;
  for (size_t i = 0; i < kSafetensorsLengthBytes; ++i) length.push_back(static_cast<char>(json.size() >> (8 * i)));
  return length + json;
}

std::string SafetensorsShapeText(absl::Span<const int64_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

std::string QuotedName(absl::string_view name) {
  constexpr size_t kMaxShown = 256;
  return absl::StrCat("\"", absl::CHexEscape(name.substr(0, kMaxShown)), name.size() > kMaxShown ? "...\"" : "\"");
}

}  // namespace evenkeel::tools
