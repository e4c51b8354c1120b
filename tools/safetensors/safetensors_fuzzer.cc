#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "base/check.h"
#include "tools/safetensors/safetensors_file.h"
#include "tools/safetensors/safetensors_header.h"

namespace evenkeel::tools {
namespace {

// No file may crash the reader, and in what it accepts every byte of the data is of one tensor.
void ReadAndWriteBack(absl::string_view file) {
  const absl::StatusOr<uint64_t> length = ParseSafetensorsLength(file, file.size());
  if (!length.ok()) return;
  const absl::string_view data = file.substr(kSafetensorsLengthBytes + *length);
  const absl::StatusOr<SafetensorsHeader> header =
      ParseSafetensorsHeader(file.substr(kSafetensorsLengthBytes, *length), data.size());
  if (!header.ok()) return;
  uint64_t end = 0;
  for (const SafetensorsTensor& tensor : header->tensors) {
    EVENKEEL_CHECK(tensor.begin == end && tensor.end >= end);
    end = tensor.end;
    DecodeSafetensors(tensor, data.substr(tensor.begin, tensor.end - tensor.begin)).IgnoreError();
  }
  EVENKEEL_CHECK(end == data.size());

  // What is written of float32 tensors is read as the same; other types would change the size.
  for (const SafetensorsTensor& tensor : header->tensors) {
    if (tensor.type.name != "F32") return;
  }
  const std::string start = FormatSafetensorsHeader(header->tensors, header->metadata);
  const absl::StatusOr<uint64_t> again_length = ParseSafetensorsLength(start, start.size() + data.size());
  EVENKEEL_CHECK(again_length.ok());
  const absl::StatusOr<SafetensorsHeader> again =
      ParseSafetensorsHeader(absl::string_view(start).substr(kSafetensorsLengthBytes), data.size());
  EVENKEEL_CHECK(again.ok() && again->metadata == header->metadata);
  EVENKEEL_CHECK(again->tensors.size() == header->tensors.size());
}

}  // namespace
}  // namespace evenkeel::tools

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  evenkeel::tools::ReadAndWriteBack(absl::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
