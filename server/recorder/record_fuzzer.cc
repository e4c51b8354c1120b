// Feeds bytes to the reader of the record and to the replay: whatever they are, neither may crash. The input is a file
// as it is, and then the frames of one whose checksums are right.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "server/recorder/frame.h"
#include "server/recorder/replayer.h"

namespace {

using evenkeel::recorder::FrameReader;
using evenkeel::recorder::Replayer;

void ReplayBytes(const std::string& bytes) {
  absl::StatusOr<FrameReader> reader = FrameReader::Open(bytes);
  if (!reader.ok()) return;
  Replayer replayer;
  while (true) {
    const auto event = reader->Next();
    if (!event.ok() || !event->has_value() || !replayer.Take(**event).ok()) return;
  }
}

// Each 16-bit length begins an event.
std::string WithChecksums(const uint8_t* data, size_t size) {
  std::string bytes = evenkeel::recorder::FileHeader();
  uint64_t number = 0;
  while (size > 2) {
    const size_t length = std::min<size_t>(data[0] + 256 * data[1], size - 2);
    evenkeel::v1::RecordedEvent event;
    if (event.ParseFromArray(data + 2, static_cast<int>(length))) {
      event.set_number(number++);
      bytes += evenkeel::recorder::Frame(event);
    }
    data += 2 + length;
    size -= 2 + length;
  }
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ReplayBytes(std::string(reinterpret_cast<const char*>(data), size));
  ReplayBytes(WithChecksums(data, size));
  return 0;
}
