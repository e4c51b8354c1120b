#include "tools/npy/npy_header.h"

#include <limits>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"

namespace evenkeel::tools {
namespace {

constexpr absl::string_view kMagic = "\x93NUMPY";
constexpr size_t kAlignment = 64;

struct TypeEntry {
  NpyType type;
  absl::string_view code;  // of a descr, after the byte order
  absl::string_view name;
  size_t size;
};

// In the enum's order.
constexpr TypeEntry kTypes[] = {
    {NpyType::kBool, "b1", "bool", 1},       {NpyType::kFloat16, "f2", "float16", 2},
    {NpyType::kFloat32, "f4", "float32", 4}, {NpyType::kFloat64, "f8", "float64", 8},
    {NpyType::kInt32, "i4", "int32", 4},     {NpyType::kInt64, "i8", "int64", 8},
    {NpyType::kUint32, "u4", "uint32", 4},   {NpyType::kUint64, "u8", "uint64", 8},
};

const TypeEntry& EntryOf(NpyType type) { return kTypes[static_cast<int>(type)]; }

absl::Status Refused(absl::string_view field, absl::string_view value, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", value, " ", why));
}

std::string Quoted(absl::string_view text) {
  constexpr size_t kMaxShown = 64;
  return absl::StrCat("'", absl::CHexEscape(text.substr(0, kMaxShown)), text.size() > kMaxShown ? "...'" : "'");
}

absl::StatusOr<NpyType> TypeFromDescr(absl::string_view descr) {
  const absl::string_view order = descr.substr(0, 1);
  const absl::string_view code = descr.substr(order.size());
  for (const TypeEntry& entry : kTypes) {
    if (entry.code != code) continue;
    if (order == (entry.size == 1 ? "|" : "<")) return entry.type;
    if (order == ">") {
      return Refused("descr", Quoted(descr), absl::StrCat("is big-endian; convert it with .astype('<", code, "')"));
    }
  }
  const auto add_name = [](std::string* out, const TypeEntry& entry) { absl::StrAppend(out, entry.name); };
  return Refused("descr", Quoted(descr),
                 absl::StrCat("is no type that is read here; these are: ", absl::StrJoin(kTypes, ", ", add_name)));
}

// A dict of Python literals, as far as .npy headers have them.
class LiteralReader {
 public:
  explicit LiteralReader(absl::string_view text) : text_(text), rest_(text) {}

  // Whether `c` is next, spaces apart; if so, it is taken.
  bool Take(char c) {
    rest_ = absl::StripLeadingAsciiWhitespace(rest_);
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  // As Take, with an error for what is there instead.
  absl::Status Expect(char c) {
    if (Take(c)) return absl::OkStatus();
    return Unexpected(absl::StrCat("'", std::string(1, c), "'"));
  }

  absl::Status ExpectEnd() {
    rest_ = absl::StripLeadingAsciiWhitespace(rest_);
    return rest_.empty() ? absl::OkStatus() : Unexpected("the end");
  }

  // Quoted by ' or ", without escapes.
  absl::StatusOr<absl::string_view> String() {
    const char quote = Take('\'') ? '\'' : Take('"') ? '"' : '\0';
    const size_t size = quote == '\0' ? absl::string_view::npos : rest_.find(quote);
    if (size == absl::string_view::npos) return Unexpected("a string");
    const absl::string_view value = rest_.substr(0, size);
    rest_.remove_prefix(size + 1);
    return value;
  }

  // Letters, digits and signs: True, 16, -1.
  absl::string_view Word() {
    rest_ = absl::StripLeadingAsciiWhitespace(rest_);
    size_t size = 0;
    while (size < rest_.size() && (absl::ascii_isalnum(rest_[size]) || rest_[size] == '-' || rest_[size] == '.')) {
      ++size;
    }
    const absl::string_view word = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return word;
  }

  absl::Status Unexpected(absl::string_view wanted) const {
    return absl::InvalidArgumentError(absl::StrCat("header: ", wanted, " is missing at byte ",
                                                   text_.size() - rest_.size(), ", before ", Quoted(rest_)));
  }

 private:
  const absl::string_view text_;
  absl::string_view rest_;
};

absl::StatusOr<std::vector<int64_t>> ReadShape(LiteralReader* reader) {
  std::vector<int64_t> shape;
  EVENKEEL_RETURN_IF_ERROR(reader->Expect('('));
  while (!reader->Take(')')) {
    const absl::string_view word = reader->Word();
    const std::string field = absl::StrCat("shape[", shape.size(), "]");
    int64_t dimension = 0;
    if (!absl::SimpleAtoi(word, &dimension)) return Refused(field, Quoted(word), "is not a 64-bit integer");
    if (dimension < 0) return Refused(field, word, "is negative");
    shape.push_back(dimension);
    if (!reader->Take(',')) {
      EVENKEEL_RETURN_IF_ERROR(reader->Expect(')'));
      if (shape.size() == 1) return Refused("shape", absl::StrCat("(", word, ")"), "is not a tuple");
      break;
    }
  }
  return shape;
}

absl::Status CheckOrder(absl::string_view fortran_order) {
  if (fortran_order == "False") return absl::OkStatus();
  if (fortran_order != "True") return Refused("fortran_order", Quoted(fortran_order), "is neither True nor False");
  return Refused("fortran_order", "True", "is not read here; convert it with numpy.ascontiguousarray");
}

absl::StatusOr<uint64_t> DataBytes(const NpyHeader& header) {
  int64_t extent = static_cast<int64_t>(NpyTypeSize(header.type));
  bool is_empty = false;
  for (const int64_t dimension : header.shape) {
    is_empty |= dimension == 0;
    if (dimension != 0 && __builtin_mul_overflow(extent, dimension, &extent)) {
      return Refused("shape", NpyShapeText(header.shape), "has more than 2^63 bytes");
    }
  }
  return is_empty ? 0 : static_cast<uint64_t>(extent);
}

absl::StatusOr<NpyHeader> ParseDict(absl::string_view text) {
  LiteralReader reader(text);
  std::optional<NpyType> type;
  std::optional<std::vector<int64_t>> shape;
  std::optional<absl::string_view> fortran_order;
  EVENKEEL_RETURN_IF_ERROR(reader.Expect('{'));
  while (!reader.Take('}')) {
    EVENKEEL_ASSIGN_OR_RETURN(const absl::string_view key, reader.String());
    EVENKEEL_RETURN_IF_ERROR(reader.Expect(':'));
    if (key == "descr" && !type.has_value()) {
      if (reader.Take('[')) return Refused("descr", "a list", "makes a structured array, which is not read here");
      EVENKEEL_ASSIGN_OR_RETURN(const absl::string_view descr, reader.String());
      EVENKEEL_ASSIGN_OR_RETURN(type, TypeFromDescr(descr));
    } else if (key == "shape" && !shape.has_value()) {
      EVENKEEL_ASSIGN_OR_RETURN(shape, ReadShape(&reader));
    } else if (key == "fortran_order" && !fortran_order.has_value()) {
      fortran_order = reader.Word();
      EVENKEEL_RETURN_IF_ERROR(CheckOrder(*fortran_order));
    } else {
      return Refused("header", Quoted(key), "is an unknown key, or given twice");
    }
    if (!reader.Take(',')) {
      EVENKEEL_RETURN_IF_ERROR(reader.Expect('}'));
      break;
    }
  }
  EVENKEEL_RETURN_IF_ERROR(reader.ExpectEnd());
  if (!type.has_value()) return Refused("header", "descr", "is missing");
  if (!shape.has_value()) return Refused("header", "shape", "is missing");
  if (!fortran_order.has_value()) return Refused("header", "fortran_order", "is missing");

  NpyHeader header;
  header.type = *type;
  header.shape = *std::move(shape);
  EVENKEEL_ASSIGN_OR_RETURN(header.data_bytes, DataBytes(header));
  return header;
}

uint32_t LittleEndian(absl::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

}  // namespace

absl::string_view NpyTypeName(NpyType type) { return EntryOf(type).name; }

size_t NpyTypeSize(NpyType type) { return EntryOf(type).size; }

absl::StatusOr<NpyHeader> ParseNpyHeader(absl::string_view start) {
  if (start.substr(0, kMagic.size()) != kMagic) {
    return Refused("magic", Quoted(start.substr(0, kMagic.size())), "is not that of an .npy file");
  }
  const absl::string_view version = start.substr(kMagic.size(), 2);
  if (version.size() < 2) return absl::InvalidArgumentError("version: the file ends before it");
  const int major = static_cast<uint8_t>(version[0]);
  const int minor = static_cast<uint8_t>(version[1]);
  if (major < 1 || major > 3 || minor != 0) {
    return Refused("version", absl::StrCat(major, ".", minor), "is none of 1.0, 2.0, 3.0");
  }
  const size_t length_offset = kMagic.size() + version.size();
  const size_t length_size = major == 1 ? 2 : 4;
  if (start.size() < length_offset + length_size) {
    return absl::InvalidArgumentError("header length: the file ends before it");
  }
  const size_t dict_offset = length_offset + length_size;
  const size_t length = LittleEndian(start.substr(length_offset, length_size));
  if (length > start.size() - dict_offset) {
    return Refused("header length", absl::StrCat(length),
                   absl::StrCat("is more than the ", start.size() - dict_offset, " bytes that it can have"));
  }
  EVENKEEL_ASSIGN_OR_RETURN(NpyHeader header, ParseDict(start.substr(dict_offset, length)));
  header.data_offset = dict_offset + length;
  return header;
}

std::string FormatNpyHeader(NpyType type, absl::Span<const int64_t> shape) {
  const TypeEntry& entry = EntryOf(type);
  std::string dict = absl::StrCat("{'descr': '", entry.size == 1 ? "|" : "<", entry.code,
                                  "', 'fortran_order': False, 'shape': ", NpyShapeText(shape), ", }");
  const size_t prefix = kMagic.size() + 4;
  const size_t used = prefix + dict.size() + 1;
  dict.append((kAlignment - used % kAlignment) % kAlignment, ' ');
  dict.push_back('\n');
  const char lead[] = {1, 0, static_cast<char>(dict.size() & 0xff), static_cast<char>(dict.size() >> 8)};
  return absl::StrCat(kMagic, absl::string_view(lead, sizeof(lead)), dict);
}

std::string NpyShapeText(absl::Span<const int64_t> shape) {
  return absl::StrCat("(", absl::StrJoin(shape, ", "), shape.size() == 1 ? ",)" : ")");
}

}  // namespace evenkeel::tools
