#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <vector>

#include "server/telemetry/process_sample.h"

namespace evenkeel::telemetry {
namespace {

namespace fs = std::filesystem;

// The numbers of /proc/self/stat from its third field on, as proc(5) has them: the second, a name, may hold anything.
std::vector<double> StatFields() {
  std::ifstream file("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream rest(text.substr(name_end + 1));
  std::string state;
  rest >> state;
  std::vector<double> fields = {0};
  for (double field = 0; rest >> field;) fields.push_back(field);
  return fields;
}

// When the machine was started, in seconds since 1970.
double BootTime() {
  std::ifstream file("/proc/stat");
  for (std::string word; file >> word;) {
    double seconds = 0;
    if (word == "btime" && file >> seconds) return seconds;
  }
  return kNone;
}

double OpenFiles() {
  std::error_code error;
  double files = 0;
  for (fs::directory_iterator entry("/proc/self/fd", error), end; !error && entry != end; entry.increment(error))
    ++files;
  return error ? kNone : files - 1;  // without that of the iteration
}

}  // namespace

ProcessFigures ReadProcessFigures() {
  constexpr size_t kUserTime = 14 - 3;
  constexpr size_t kSystemTime = 15 - 3;
  constexpr size_t kStartTime = 22 - 3;
  constexpr size_t kResidentPages = 24 - 3;
  ProcessFigures figures;
  figures.open_files = OpenFiles();
  const std::vector<double> fields = StatFields();
  if (fields.size() <= kResidentPages) return figures;
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  figures.cpu_seconds = (fields[kUserTime] + fields[kSystemTime]) / ticks;
  figures.resident_bytes = fields[kResidentPages] * static_cast<double>(sysconf(_SC_PAGESIZE));
  figures.start_time_seconds = BootTime() + fields[kStartTime] / ticks;
  return figures;
}

double BytesIn(const std::string& folder) {
  std::error_code error;
  double bytes = 0;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code gone;
    if (entry->is_regular_file(gone) && !gone) {
      const auto size = entry->file_size(gone);
      if (!gone) bytes += static_cast<double>(size);
    }
  }
  return error ? kNone : bytes;
}

}  // namespace evenkeel::telemetry
