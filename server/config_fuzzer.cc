// The files that an operator writes, from the bytes on: the coordinator's configuration and its identities. What is
// wrong is told with the path; nothing crashes.

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "server/options.h"
#include "server/security/identities.h"

namespace evenkeel {
namespace {

// A file that has no name but that of its descriptor.
class Memory {
 public:
  Memory(const uint8_t* data, size_t size) : descriptor_(memfd_create("fuzz", MFD_CLOEXEC)) {
    EVENKEEL_CHECK(descriptor_ >= 0 && write(descriptor_, data, size) == static_cast<ssize_t>(size));
  }
  ~Memory() { close(descriptor_); }

  std::string path() const { return absl::StrCat("/proc/self/fd/", descriptor_); }

 private:
  const int descriptor_;
};

void ReadBoth(const std::string& path) {
  CommandLine command_line;
  command_line.config_file = path;
  command_line.state_dir = "state";
  const auto config = ConfigureCoordinator(command_line);
  if (config.ok()) {
    EVENKEEL_CHECK(config->state_dir() == "state" && !config->listen().empty() && config->has_limits());
  } else {
    EVENKEEL_CHECK(!config.status().message().empty());
  }
  const auto identities = security::Identities::Read(path);
  if (!identities.ok()) {
    EVENKEEL_CHECK(absl::StrContains(identities.status().message(), path));
    return;
  }
  for (const v1::Identity& identity : (*identities)->all()) {
    EVENKEEL_CHECK(!identity.name().empty());
    EVENKEEL_CHECK(identity.token_sha256_size() + identity.san_size() > 0);
  }
  EVENKEEL_CHECK((*identities)->WithToken("nobody's token") == nullptr);
}

}  // namespace
}  // namespace evenkeel

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const evenkeel::Memory file(data, size);
  evenkeel::ReadBoth(file.path());
  return 0;
}
