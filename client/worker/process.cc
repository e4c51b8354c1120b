#include "client/worker/process.h"

#include <limits.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/check.h"

namespace evenkeel::client {

uint64_t NewIncarnation() {
  uint64_t incarnation = 0;
  while (incarnation == 0) {
    // So few bytes are never cut short, nor interrupted once the kernel's pool is ready.
    EVENKEEL_CHECK(getrandom(&incarnation, sizeof(incarnation), 0) == sizeof(incarnation));
  }
  return incarnation;
}

v1::WorkerInfo DescribeProcess() {
  v1::WorkerInfo info;
  char hostname[HOST_NAME_MAX + 1] = {};
  if (gethostname(hostname, sizeof(hostname) - 1) == 0) info.set_hostname(hostname);
  info.set_process_id(getpid());
  info.set_library_version(kLibraryVersion);
  return info;
}

}  // namespace evenkeel::client
