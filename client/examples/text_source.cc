#include "client/examples/text_source.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <set>
#include <system_error>
#include <utility>

namespace text_worker {
namespace {

namespace fs = std::filesystem;
using evenkeel::Status;
using evenkeel::StatusCode;

class Reader {
 public:
  Status Add(const fs::path& path) {
    std::error_code error;
    const fs::path real = fs::canonical(path, error);
    if (error) return Status(StatusCode::kNotFound, path.string() + ": " + error.message());
    if (!seen_.insert(real).second) return Status();
    return fs::is_directory(real, error) ? AddFolder(path) : AddFile(path);
  }

  std::string Take() { return std::move(text_); }

 private:
  Status AddFolder(const fs::path& folder) {
    std::error_code error;
    std::vector<fs::path> entries;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
      entries.push_back(entry->path());
    }
    if (error) return Status(StatusCode::kInvalidArgument, folder.string() + ": " + error.message());
    std::sort(entries.begin(), entries.end());
    for (const fs::path& entry : entries) {
      // Of a folder, what is neither file nor folder (and links to nowhere) is passed over.
      if (!fs::is_regular_file(entry, error) && !fs::is_directory(entry, error)) continue;
      Status status = Add(entry);
      if (!status.ok()) return status;
    }
    return Status();
  }

  Status AddFile(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    char block[1 << 16];
    while (file.read(block, sizeof(block)) || file.gcount() > 0) text_.append(block, file.gcount());
    if (!file.eof()) return Status(StatusCode::kInvalidArgument, path.string() + ": cannot be read");
    return Status();
  }

  std::string text_;
  std::set<fs::path> seen_;
};

}  // namespace

evenkeel::Result<std::string> ReadText(const std::vector<std::string>& paths) {
  Reader reader;
  for (const std::string& path : paths) {
    Status status = reader.Add(path);
    if (!status.ok()) return status;
  }
  std::string text = reader.Take();
  if (text.empty()) return Status(StatusCode::kInvalidArgument, "there is no text in what --text names");
  return text;
}

TextShare::TextShare(size_t text_bytes, int rank, int ranks, int64_t tokens)
    : rank_(rank), ranks_(ranks), tokens_(tokens) {
  const uint64_t all_chunks = text_bytes / kChunk;
  chunks_ = (all_chunks - rank_ + ranks_ - 1) / ranks_;
  // About the golden section: its multiples are spread evenly, however many there are.
  leap_ = chunks_ * 618 / 1000 + 1;
  while (std::gcd(leap_, chunks_) != 1) ++leap_;
}

void TextShare::Positions(uint64_t step, std::vector<size_t>* positions) const {
  positions->resize(tokens_);
  for (uint64_t i = 0; i < tokens_; ++i) {
    const uint64_t token = (step - 1) * tokens_ + i;
    const uint64_t turn = token / kChunk % chunks_;
    const uint64_t chunk = turn * leap_ % chunks_ * ranks_ + rank_;
    (*positions)[i] = chunk * kChunk + token % kChunk;
  }
}

}  // namespace text_worker
