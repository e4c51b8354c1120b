// What a durable commit costs: Store::Apply of jobs of 61 layers with 256 experts, against the same bytes appended to a
// file and synced (write + fdatasync), turn by turn on the same disk; and what the next start costs, which checks the
// integrity of all of it and reads what jobs need.
//
//   store_benchmark [DIRECTORY]     the disk to measure; default: the temporary directory

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "job/snapshot.h"
#include "server/store/store.h"
#include "server/store/test_records.h"

namespace evenkeel::store {
namespace {

constexpr int kLayers = 61;
constexpr int kExperts = 256;
constexpr int kRounds = 300;

// A file that is appended to and synced.
class RawLog {
 public:
  explicit RawLog(const std::string& path) : descriptor_(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644)) {
    EVENKEEL_CHECK(descriptor_ >= 0);
  }
  ~RawLog() { close(descriptor_); }
  void Append(const std::string& bytes) {
    EVENKEEL_CHECK(write(descriptor_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    EVENKEEL_CHECK(fdatasync(descriptor_) == 0);
  }

 private:
  int descriptor_;
};

template <typename Body>
double Milliseconds(const Body& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

double Quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(q * static_cast<double>(values.size() - 1))];
}

void Measure(const std::string& directory, int jobs) {
  const std::string state_directory = absl::StrCat(directory, "/store", jobs);
  auto store = Store::Open(state_directory);
  EVENKEEL_CHECK(store.ok());
  RawLog log(absl::StrCat(directory, "/log", jobs));
  std::vector<double> encode, apply, raw;
  size_t size = 0;
  for (int round = 1; round <= kRounds; ++round) {
    std::vector<core::Write> writes;
    for (int job = 0; job < jobs; ++job) {
      writes.push_back(TestWrite(absl::StrCat("job", job), round, kLayers, kExperts));
    }
    std::string bytes;
    encode.push_back(Milliseconds([&] {
      for (const core::Write& write : writes) bytes += job::EncodeSnapshot(*write.state);
    }));
    size = bytes.size();
    raw.push_back(Milliseconds([&] { log.Append(bytes); }));
    apply.push_back(Milliseconds([&] { EVENKEEL_CHECK((*store)->Apply(writes).ok()); }));
  }
  store->reset();
  const double start = Milliseconds([&] {
    store = Store::Open(state_directory);
    EVENKEEL_CHECK(store.ok() && (*store)->Load().ok());
  });
  std::printf("%4d  %9zu  %8.3f  %6.3f %6.3f  %6.3f %6.3f  %5.2f  %9.0f\n", jobs, size, Quantile(encode, 0.5),
              Quantile(raw, 0.5), Quantile(raw, 0.99), Quantile(apply, 0.5), Quantile(apply, 0.99),
              Quantile(apply, 0.5) / Quantile(raw, 0.5), start);
}

void Run(const std::string& parent) {
  std::string directory = parent + "/evenkeel_store_benchmark_XXXXXX";
  EVENKEEL_CHECK(mkdtemp(directory.data()) != nullptr);
  std::printf("%d commits of %d x %d experts, in %s; milliseconds\n", kRounds, kLayers, kExperts, directory.c_str());
  std::printf("jobs      bytes    encode  write + fdatasync  Store::Apply  ratio  Open, Load\n");
  std::printf("                      p50     p50    p99     p50    p99    p50\n");
  for (const int jobs : {1, 4, 16}) Measure(directory, jobs);
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace evenkeel::store

int main(int argc, char** argv) {
  evenkeel::store::Run(argc > 1 ? argv[1] : std::filesystem::temp_directory_path().string());
}
