#include "server/recorder/frame.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "xxhash.h"

namespace evenkeel::recorder {
namespace {

constexpr absl::string_view kMagic = "EVKLREC\n";
constexpr size_t kHeaderSize = 12;
constexpr size_t kFrameHeaderSize = 12;

template <typename T>
void AppendLittleEndian(T value, std::string* out) {
  for (size_t i = 0; i < sizeof(T); ++i) out->push_back(static_cast<char>(value >> (8 * i)));
}

template <typename T>
T ReadLittleEndian(absl::string_view bytes) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value |= static_cast<T>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  return value;
}

}  // namespace

std::string FileHeader() {
  std::string header(kMagic);
  AppendLittleEndian(kRecordFormat, &header);
  return header;
}

std::string Frame(const v1::RecordedEvent& event) {
  const std::string payload = event.SerializeAsString();
  std::string frame;
  frame.reserve(kFrameHeaderSize + payload.size());
  AppendLittleEndian(static_cast<uint32_t>(payload.size()), &frame);
  AppendLittleEndian(static_cast<uint64_t>(XXH3_64bits(payload.data(), payload.size())), &frame);
  return frame.append(payload);
}

absl::StatusOr<FrameReader> FrameReader::Open(absl::string_view bytes) {
  FrameReader reader(bytes);
  if (bytes.size() < kHeaderSize && absl::StartsWith(FileHeader(), bytes)) {
    reader.torn_bytes_ = reader.place_ = bytes.size();
    return reader;
  }
  if (!absl::StartsWith(bytes, kMagic) || bytes.size() < kHeaderSize) {
    return absl::DataLossError("it does not begin as a file of a record does");
  }
  const auto format = ReadLittleEndian<uint32_t>(bytes.substr(kMagic.size()));
  if (format != kRecordFormat) {
    return absl::FailedPreconditionError(
        absl::StrCat("its format is ", format, "; this program reads ", kRecordFormat));
  }
  reader.place_ = kHeaderSize;
  return reader;
}

absl::StatusOr<std::optional<v1::RecordedEvent>> FrameReader::Next() {
  const absl::string_view rest = bytes_.substr(place_);
  const size_t length = rest.size() < kFrameHeaderSize ? 0 : ReadLittleEndian<uint32_t>(rest);
  const bool is_short = rest.size() < kFrameHeaderSize || rest.size() - kFrameHeaderSize < length;
  if (is_short || rest.find_first_not_of('\0') == absl::string_view::npos) {
    torn_bytes_ += rest.size();
    place_ = bytes_.size();
    return std::nullopt;
  }
  const auto damage = [&](absl::string_view what) {
    return absl::DataLossError(absl::StrCat("the frame at byte ", place_, " ", what));
  };
  const absl::string_view payload = rest.substr(kFrameHeaderSize, length);
  const auto checksum = ReadLittleEndian<uint64_t>(rest.substr(4));
  const uint64_t actual = XXH3_64bits(payload.data(), payload.size());
  if (actual != checksum) return damage(absl::StrFormat("has the checksum %016x, its bytes %016x", checksum, actual));
  v1::RecordedEvent event;
  if (!event.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return damage("is no event");
  if (event.number() != number_) return damage(absl::StrCat("is event ", event.number(), ", not ", number_));
  if (event.has_state() + event.has_commit() + event.has_config() != 1 || event.has_state() != (number_ == 0)) {
    return damage(absl::StrCat("is not what event ", number_, " may be"));
  }
  ++number_;
  place_ += kFrameHeaderSize + length;
  return event;
}

}  // namespace evenkeel::recorder
