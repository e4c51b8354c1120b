// The store's files with any bytes: a database that is nothing but the input, or one of two jobs, or its log, with some
// bytes changed. It opens or says why not; what it gives is what was written; and what it opened can be written to.

#include <stdlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "server/store/schema.h"
#include "server/store/store.h"
#include "server/store/test_records.h"

namespace evenkeel::store {
namespace {

constexpr uint64_t kNewest = 5;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void WriteFile(const std::string& path, absl::string_view contents) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << contents;
}

// What Apply has made durable, as files.
struct Files {
  std::string database;
  std::string log;
};

// A directory of this process's, and what the inputs change.
class Bench {
 public:
  static Bench& Get() {
    static Bench* const bench = new Bench;
    return *bench;
  }

  // Opens a directory with these files. What it gives is one of `right`, if there is one.
  void Open(const Files& files, const std::vector<std::string>& right) {
    std::filesystem::remove(path_ + "-shm");
    WriteFile(path_, files.database);
    WriteFile(path_ + "-wal", files.log);
    auto store = Store::Open(directory_);
    if (!store.ok()) return CheckMessage(store.status());
    const auto records = (*store)->Load();
    if (!records.ok()) return CheckMessage(records.status());
    EVENKEEL_CHECK(right.empty() || std::count(right.begin(), right.end(), Text(*records)) == 1);
    for (const core::JobRecord& record : *records) {
      (*store)->State(record.state.spec().name(), kNewest - 1).status().IgnoreError();
    }
    const absl::Status status = (*store)->Apply({TestWrite("a", kNewest + 1), TestWrite("new", 1)});
    if (!status.ok()) return CheckMessage(status);
    store->reset();
    store = Store::Open(directory_);
    EVENKEEL_CHECK(store.ok());
  }

  const Files& closed() const { return closed_; }
  const Files& killed() const { return killed_; }
  // After each of the commits.
  const std::vector<std::string>& texts() const { return texts_; }

 private:
  Bench() : directory_(std::filesystem::temp_directory_path().string() + "/store_fuzzer_XXXXXX") {
    EVENKEEL_CHECK(mkdtemp(directory_.data()) != nullptr);
    path_ = absl::StrCat(directory_, "/", kDatabaseName);
    std::atexit([] { std::filesystem::remove_all(Get().directory_); });
    auto store = Store::Open(directory_);
    EVENKEEL_CHECK(store.ok());
    texts_.push_back("");
    for (uint64_t tag = 1; tag <= kNewest; ++tag) {
      EVENKEEL_CHECK((*store)->Apply({TestWrite("a", tag), TestWrite("b", tag)}).ok());
      texts_.push_back(Text({TestRecord("a", tag), TestRecord("b", tag)}));
    }
    killed_ = {ReadFile(path_), ReadFile(path_ + "-wal")};
    store->reset();
    closed_ = {ReadFile(path_), ""};
  }

  void CheckMessage(const absl::Status& status) { EVENKEEL_CHECK(!status.message().empty()); }

  std::string directory_;
  std::string path_;
  Files closed_, killed_;
  std::vector<std::string> texts_;
};

// Each four bytes of `input` are a place and what to do there.
std::string Changed(std::string contents, absl::string_view input) {
  for (; input.size() >= 4; input.remove_prefix(4)) {
    uint32_t word = 0;
    std::memcpy(&word, input.data(), sizeof(word));
    const size_t place = (word & 0xfffff) % contents.size();
    const uint32_t value = word >> 24;
    switch ((word >> 20) % 8) {
      case 0:
        contents[place] = static_cast<char>(value);
        break;
      case 1:  // where a page begins
        contents[place / 16384 * 16384 + place % 16] = static_cast<char>(value);
        break;
      case 2:
        contents.resize(std::max<size_t>(place, 2));  // of one byte or none it is a new one
        break;
      case 3:
        contents.resize(contents.size() + value * 256);
        break;
      default:
        contents[place] ^= static_cast<char>(1 << value % 8);
    }
  }
  return contents;
}

}  // namespace
}  // namespace evenkeel::store

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using evenkeel::store::Bench;
  if (size == 0) return 0;
  Bench& bench = Bench::Get();
  const absl::string_view input(reinterpret_cast<const char*>(data + 1), size - 1);
  const std::vector<std::string> newest = {bench.texts().back()};
  switch (data[0] % 4) {
    case 0:
      bench.Open({std::string(input), ""}, {});
      break;
    case 1:
      bench.Open({bench.killed().database, evenkeel::store::Changed(bench.killed().log, input)}, bench.texts());
      break;
    default:
      bench.Open({evenkeel::store::Changed(bench.closed().database, input), ""}, newest);
  }
  return 0;
}
