#include "tools/npy/npy.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "tools/input_file.h"
#include "tools/staged_files.h"

namespace evenkeel::tools {
namespace {

// The header, held against the bytes that the file has.
absl::StatusOr<NpyHeader> CheckedHeader(absl::string_view start, uint64_t file_bytes) {
  EVENKEEL_ASSIGN_OR_RETURN(NpyHeader header, ParseNpyHeader(start));
  const uint64_t data_bytes = file_bytes - header.data_offset;
  if (data_bytes == header.data_bytes) return header;
  return absl::InvalidArgumentError(
      absl::StrCat("data: ", data_bytes, " bytes are ", data_bytes < header.data_bytes ? "fewer" : "more", " than the ",
                   header.data_bytes, " of ", NpyTypeName(header.type), " ", NpyShapeText(header.shape)));
}

absl::StatusOr<std::unique_ptr<char[]>> Allocate(uint64_t bytes) {
  std::unique_ptr<char[]> data(new (std::nothrow) char[std::max<uint64_t>(bytes, 1)]);
  if (data == nullptr) return absl::ResourceExhaustedError(absl::StrCat("no memory for ", bytes, " bytes"));
  return data;
}

absl::StatusOr<NpyArray> Read(const std::string& path) {
  EVENKEEL_ASSIGN_OR_RETURN(const InputFile file, InputFile::Open(path));
  std::string start(std::min<uint64_t>(file.size(), kMaxNpyHeaderBytes), '\0');
  EVENKEEL_RETURN_IF_ERROR(file.ReadAt(0, start.size(), start.data()));
  EVENKEEL_ASSIGN_OR_RETURN(NpyHeader header, CheckedHeader(start, file.size()));
  EVENKEEL_ASSIGN_OR_RETURN(std::unique_ptr<char[]> data, Allocate(header.data_bytes));
  EVENKEEL_RETURN_IF_ERROR(file.ReadAt(header.data_offset, header.data_bytes, data.get()));
  return NpyArray(std::move(header), std::move(data));
}

}  // namespace

absl::StatusOr<NpyArray> ReadNpy(const std::string& path) {
  absl::StatusOr<NpyArray> array = Read(path);
  if (array.ok()) return array;
  return absl::Status(array.status().code(), absl::StrCat(path, ": ", array.status().message()));
}

absl::StatusOr<NpyArray> ParseNpy(absl::string_view file) {
  EVENKEEL_ASSIGN_OR_RETURN(NpyHeader header, CheckedHeader(file.substr(0, kMaxNpyHeaderBytes), file.size()));
  EVENKEEL_ASSIGN_OR_RETURN(std::unique_ptr<char[]> data, Allocate(header.data_bytes));
  std::memcpy(data.get(), file.data() + header.data_offset, header.data_bytes);
  return NpyArray(std::move(header), std::move(data));
}

absl::Status WriteNpy(absl::Span<const NpyOutput> outputs) {
  StagedFiles files;
  for (const NpyOutput& output : outputs) {
    size_t bytes = NpyTypeSize(output.type);
    for (const int64_t dimension : output.shape) bytes *= static_cast<size_t>(dimension);
    const std::string header = FormatNpyHeader(output.type, output.shape);
    EVENKEEL_RETURN_IF_ERROR(
        files.Add(output.path, {header, absl::string_view(static_cast<const char*>(output.data), bytes)}));
  }
  return files.Commit();
}

}  // namespace evenkeel::tools
