#include "tools/safetensors/safetensors_file.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "kernels/routing/half.h"

namespace evenkeel::tools {
namespace {

absl::Status In(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

template <typename Bits, typename Convert>
std::vector<double> Decoded(absl::string_view bytes, const Convert& convert) {
  std::vector<double> values(bytes.size() / sizeof(Bits));
  for (size_t i = 0; i < values.size(); ++i) {
    Bits bits;
    std::memcpy(&bits, bytes.data() + i * sizeof(Bits), sizeof(Bits));
    values[i] = convert(bits);
  }
  return values;
}

template <typename Float, typename Bits>
double Reinterpreted(Bits bits) {
  static_assert(sizeof(Float) == sizeof(Bits));
  Float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

}  // namespace

absl::StatusOr<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  absl::StatusOr<InputFile> input = InputFile::Open(path);
  if (!input.ok()) return In(path, input.status());
  SafetensorsFile file(path, *std::move(input));
  if (const absl::Status status = file.ReadHeader(); !status.ok()) return In(path, status);
  return file;
}

absl::Status SafetensorsFile::ReadHeader() {
  std::string start(std::min<uint64_t>(file_.size(), kSafetensorsLengthBytes), '\0');
  EVENKEEL_RETURN_IF_ERROR(file_.ReadAt(0, start.size(), start.data()));
  EVENKEEL_ASSIGN_OR_RETURN(const uint64_t length, ParseSafetensorsLength(start, file_.size()));
  std::string json(length, '\0');
  EVENKEEL_RETURN_IF_ERROR(file_.ReadAt(kSafetensorsLengthBytes, length, json.data()));
  data_offset_ = kSafetensorsLengthBytes + length;
  EVENKEEL_ASSIGN_OR_RETURN(header_, ParseSafetensorsHeader(json, file_.size() - data_offset_));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<double>> SafetensorsFile::ReadValues(const SafetensorsTensor& tensor) const {
  std::string bytes(tensor.end - tensor.begin, '\0');
  absl::Status status = file_.ReadAt(data_offset_ + tensor.begin, bytes.size(), bytes.data());
  if (!status.ok()) return In(path_, status);
  absl::StatusOr<std::vector<double>> values = DecodeSafetensors(tensor, bytes);
  if (!values.ok()) return In(path_, values.status());
  return values;
}

absl::StatusOr<std::vector<double>> DecodeSafetensors(const SafetensorsTensor& tensor, absl::string_view bytes) {
  EVENKEEL_CHECK(bytes.size() == tensor.end - tensor.begin);
  const absl::string_view type = tensor.type.name;
  if (type == "F64") return Decoded<uint64_t>(bytes, Reinterpreted<double, uint64_t>);
  if (type == "F32") return Decoded<uint32_t>(bytes, Reinterpreted<float, uint32_t>);
  if (type == "F16") return Decoded<uint16_t>(bytes, routing::FloatFromHalf);
  if (type == "BF16") return Decoded<uint16_t>(bytes, routing::FloatFromBFloat16);
  return absl::InvalidArgumentError(
      absl::StrCat("tensor ", QuotedName(tensor.name), ": dtype ", type, " is none of F64, F32, F16, BF16"));
}

}  // namespace evenkeel::tools
