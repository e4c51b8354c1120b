#include "tools/npy/npy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
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

absl::Status ReadAt(int file, uint64_t offset, uint64_t bytes, char* out) {
  while (bytes > 0) {
    const ssize_t got = pread(file, out, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, "read");
    if (got == 0) return absl::DataLossError("the file became shorter while it was read");
    out += got;
    offset += static_cast<uint64_t>(got);
    bytes -= static_cast<uint64_t>(got);
  }
  return absl::OkStatus();
}

absl::StatusOr<NpyArray> ReadOpen(int file) {
  struct stat info;
  if (fstat(file, &info) != 0) return absl::ErrnoToStatus(errno, "stat");
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError("not a regular file");
  const auto file_bytes = static_cast<uint64_t>(info.st_size);
  std::string start(std::min<uint64_t>(file_bytes, kMaxNpyHeaderBytes), '\0');
  EVENKEEL_RETURN_IF_ERROR(ReadAt(file, 0, start.size(), start.data()));
  EVENKEEL_ASSIGN_OR_RETURN(NpyHeader header, CheckedHeader(start, file_bytes));
  EVENKEEL_ASSIGN_OR_RETURN(std::unique_ptr<char[]> data, Allocate(header.data_bytes));
  EVENKEEL_RETURN_IF_ERROR(ReadAt(file, header.data_offset, header.data_bytes, data.get()));
  return NpyArray(std::move(header), std::move(data));
}

}  // namespace

absl::StatusOr<NpyArray> ReadNpy(const std::string& path) {
  // Without O_NONBLOCK, opening a pipe would wait for its writer.
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return absl::ErrnoToStatus(errno, path);
  const auto close_file = absl::MakeCleanup([file] { close(file); });
  absl::StatusOr<NpyArray> array = ReadOpen(file);
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
