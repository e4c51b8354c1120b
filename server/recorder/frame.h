#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "evenkeel/v1/record.pb.h"

// The bytes of a file of the record, as record.proto defines them. Pure.
namespace evenkeel::recorder {

inline constexpr uint32_t kRecordFormat = 1;

// What a file begins with.
std::string FileHeader();

// The event as a frame.
std::string Frame(const v1::RecordedEvent& event);

// Reads the events of a file one after another.
class FrameReader {
 public:
  // `bytes` is the whole file, and outlives the reader. A file that ends within its header has no events.
  //   DATA_LOSS            it is no file of a record
  //   FAILED_PRECONDITION  it is in the format of a newer program
  static absl::StatusOr<FrameReader> Open(absl::string_view bytes);

  // The next event, or nothing where the file ends. DATA_LOSS, saying at which byte, when the frame is damaged; what
  // follows is lost.
  absl::StatusOr<std::optional<v1::RecordedEvent>> Next();

  // Bytes at the end, once there are no more events, that are no whole frame: the beginning of one, or zeros, as a
  // crash leaves them.
  size_t torn_bytes() const { return torn_bytes_; }

 private:
  explicit FrameReader(absl::string_view bytes) : bytes_(bytes) {}

  absl::string_view bytes_;
  size_t place_ = 0;
  uint64_t number_ = 0;
  size_t torn_bytes_ = 0;
};

}  // namespace evenkeel::recorder
