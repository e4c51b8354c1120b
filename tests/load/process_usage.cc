#include "tests/load/process_usage.h"

#include <time.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace evenkeel::load {
namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The number after "NAME:" at the start of a line, or 0.
int64_t Field(absl::string_view text, absl::string_view name) {
  const std::string key = absl::StrCat("\n", name, ":");
  const size_t at = absl::StrCat("\n", text).find(key);
  if (at == std::string::npos) return 0;
  absl::string_view rest = absl::StripLeadingAsciiWhitespace(text.substr(at + key.size() - 1));
  int64_t value = 0;
  return absl::SimpleAtoi(rest.substr(0, rest.find_first_not_of("0123456789")), &value) ? value : 0;
}

double CpuSeconds(pid_t process) {
  clockid_t clock;
  timespec time = {};
  if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

int64_t ContextSwitches(const std::string& folder) {
  int64_t switches = 0;
  std::error_code gone;
  for (const auto& thread : std::filesystem::directory_iterator(folder + "/task", gone)) {
    const std::string status = ReadAll(thread.path() / "status");
    switches += Field(status, "voluntary_ctxt_switches") + Field(status, "nonvoluntary_ctxt_switches");
  }
  return switches;
}

int OpenFiles(const std::string& folder) {
  int files = 0;
  std::error_code gone;
  for (const auto& file : std::filesystem::directory_iterator(folder + "/fd", gone)) {
    static_cast<void>(file);
    ++files;
  }
  return files;
}

}  // namespace

ProcessUsage UsageOf(pid_t process) {
  const std::string folder = absl::StrCat("/proc/", process);
  const std::string status = ReadAll(folder + "/status");
  if (status.empty()) return {};
  ProcessUsage usage;
  usage.cpu_seconds = CpuSeconds(process);
  usage.context_switches = ContextSwitches(folder);
  usage.written_bytes = Field(ReadAll(folder + "/io"), "write_bytes");
  usage.resident_bytes = 1024 * Field(status, "VmRSS");
  usage.peak_resident_bytes = 1024 * Field(status, "VmHWM");
  usage.open_files = OpenFiles(folder);
  return usage;
}

}  // namespace evenkeel::load
