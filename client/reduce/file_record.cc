#include "client/reduce/file_record.h"

#include <cstring>

#include "absl/strings/str_cat.h"

namespace evenkeel::client {
namespace {

constexpr absl::string_view kMagic = "EKR1";

// Little-endian, as every machine that this library is built for.
template <typename Word>
void Append(Word word, std::string* bytes) {
  bytes->append(reinterpret_cast<const char*>(&word), sizeof(word));
}

// Takes a word off the front of `bytes`. False when they are too few.
template <typename Word>
bool Take(absl::string_view* bytes, Word* word) {
  if (bytes->size() < sizeof(*word)) return false;
  std::memcpy(word, bytes->data(), sizeof(*word));
  bytes->remove_prefix(sizeof(*word));
  return true;
}

absl::Status NoRecord() { return absl::DataLossError("it holds no record of a rendezvous"); }

}  // namespace

std::string Serialize(const FileRecord& record) {
  std::string bytes(kMagic);
  Append(static_cast<uint32_t>(record.seen.size()), &bytes);
  Append(record.token, &bytes);
  for (const uint64_t token : record.seen) Append(token, &bytes);
  return bytes + record.value;
}

absl::StatusOr<FileRecord> ParseFileRecord(absl::string_view bytes) {
  if (bytes.substr(0, kMagic.size()) != kMagic) return NoRecord();
  bytes.remove_prefix(kMagic.size());
  FileRecord record;
  uint32_t size = 0;
  if (!Take(&bytes, &size) || !Take(&bytes, &record.token) || bytes.size() / sizeof(uint64_t) < size) return NoRecord();
  record.seen.resize(size);
  for (uint64_t& token : record.seen) Take(&bytes, &token);
  record.value = std::string(bytes);
  return record;
}

}  // namespace evenkeel::client
