#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "base/check.h"
#include "tools/npy/npy.h"

namespace evenkeel::tools {
namespace {

// No file may crash the reader, and what it accepts has the size and the shape that it says.
void ReadAndWriteBack(absl::string_view file) {
  const absl::StatusOr<NpyArray> array = ParseNpy(file);
  if (!array.ok()) return;
  uint64_t elements = 1;
  for (const int64_t dimension : array->shape()) elements *= static_cast<uint64_t>(dimension);
  const size_t bytes = elements * NpyTypeSize(array->type());
  EVENKEEL_CHECK(bytes <= file.size());
  const absl::string_view data(static_cast<const char*>(array->data()), bytes);
  EVENKEEL_CHECK(data == file.substr(file.size() - bytes));

  // The writer's header has room for as many dimensions as NumPy allows.
  constexpr size_t kMaxDimensions = 32;
  if (array->shape().size() > kMaxDimensions) return;
  std::string copy = FormatNpyHeader(array->type(), array->shape());
  copy.append(data.data(), data.size());
  const absl::StatusOr<NpyArray> again = ParseNpy(copy);
  EVENKEEL_CHECK(again.ok() && again->type() == array->type() && again->shape() == array->shape());
}

}  // namespace
}  // namespace evenkeel::tools

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  evenkeel::tools::ReadAndWriteBack(absl::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
