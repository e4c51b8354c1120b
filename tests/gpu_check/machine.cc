#include "tests/gpu_check/machine.h"

#include "absl/strings/str_cat.h"
#include "tests/gpu_check/json.h"

namespace evenkeel::gpu_check {

std::string ToJson(const Machine& machine) {
  return JsonObject({
      {"device", JsonString(machine.device)},
      {"compute_capability", JsonString(machine.compute_capability)},
      {"driver_version", absl::StrCat(machine.driver_version)},
      {"runtime_version", absl::StrCat(machine.runtime_version)},
      {"multiprocessors", absl::StrCat(machine.multiprocessors)},
      {"clock_mhz", absl::StrCat(machine.clock_mhz)},
      {"memory_clock_mhz", absl::StrCat(machine.memory_clock_mhz)},
      {"l2_bytes", absl::StrCat(machine.l2_bytes)},
      {"memory_bytes", absl::StrCat(machine.memory_bytes)},
      {"free_memory_bytes", absl::StrCat(machine.free_memory_bytes)},
      {"ecc", machine.ecc ? "true" : "false"},
  });
}

}  // namespace evenkeel::gpu_check
