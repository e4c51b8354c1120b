#include "client/reduce/nccl_library.h"

#include <dlfcn.h>
#include <link.h>

#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"

namespace evenkeel::client {
namespace {

constexpr char kName[] = "libnccl.so.2";

std::string Environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// What is given to the loader, in this order.
std::vector<std::string> Places() {
  const std::string chosen = Environment("EVENKEEL_NCCL_LIBRARY");
  if (!chosen.empty()) return {chosen};
  std::vector<std::string> places = {kName};
  for (const char* variable : {"CUDA_PATH", "CUDA_HOME"}) {
    const std::string root = Environment(variable);
    if (!root.empty()) places.push_back(absl::StrCat(root, "/lib64/", kName));
  }
  places.push_back(absl::StrCat("/usr/local/cuda/lib64/", kName));
  places.push_back(absl::StrCat("/usr/lib/x86_64-linux-gnu/", kName));
  return places;
}

absl::StatusOr<void*> OpenAny() {
  std::vector<std::string> reasons;
  for (const std::string& place : Places()) {
    void* const library = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) return library;
    reasons.push_back(dlerror());  // which begins with the place
  }
  return absl::NotFoundError(
      absl::StrCat("libnccl was not found (EVENKEEL_NCCL_LIBRARY may name its file): ", absl::StrJoin(reasons, "; ")));
}

// Fills the functions of a table from a library, up to the first that is missing.
class Symbols {
 public:
  explicit Symbols(void* library) : library_(library) {}

  template <typename Function>
  void Find(const char* name, Function** function) {
    *function = reinterpret_cast<Function*>(dlsym(library_, name));
    if (*function == nullptr && missing_.empty()) missing_ = name;
  }

  const std::string& missing() const { return missing_; }

 private:
  void* const library_;
  std::string missing_;
};

std::string PathOf(void* library) {
  link_map* map = nullptr;
  return dlinfo(library, RTLD_DI_LINKMAP, &map) == 0 ? map->l_name : kName;
}

absl::Status Lacks(const std::string& path, const std::string& symbol) {
  return absl::FailedPreconditionError(absl::StrCat(path, " has no ", symbol, ": it is no NCCL that can be used"));
}

}  // namespace

std::string NcclVersionName(int version) {
  // Up to 2.8 the major number counted thousands.
  const int major = version < 10'000 ? version / 1'000 : version / 10'000;
  const int rest = version < 10'000 ? version % 1'000 : version % 10'000;
  return absl::StrCat(major, ".", rest / 100, ".", rest % 100);
}

absl::Status NcclLibrary::Checked(absl::string_view call, int result) const {
  if (result == nccl::kSuccess || result == nccl::kInProgress) return absl::OkStatus();
  std::string message = absl::StrCat(call, ": ", GetErrorString(result));
  const char* const last = GetLastError(nullptr);
  if (last != nullptr && *last != '\0') absl::StrAppend(&message, " (", last, ")");
  switch (result) {
    case nccl::kRemoteError:
    case nccl::kSystemError:
      return absl::UnavailableError(message);
    case nccl::kInvalidUsage:
      return absl::FailedPreconditionError(message);
    default:
      return absl::InternalError(message);
  }
}

absl::StatusOr<std::unique_ptr<const NcclLibrary>> OpenNccl() {
  EVENKEEL_ASSIGN_OR_RETURN(void* const opened, OpenAny());
  auto library = std::make_unique<NcclLibrary>();
  library->path = PathOf(opened);
  Symbols symbols(opened);
  symbols.Find("ncclGetVersion", &library->GetVersion);
  if (!symbols.missing().empty()) return Lacks(library->path, symbols.missing());
  library->GetVersion(&library->version);
  // First of all: an old one lacks functions because it is old.
  if (library->version < kOldestNccl) {
    return absl::FailedPreconditionError(absl::StrCat(library->path, " is NCCL ", NcclVersionName(library->version),
                                                      "; it must be ", NcclVersionName(kOldestNccl), " or newer"));
  }
  symbols.Find("ncclGetUniqueId", &library->GetUniqueId);
  symbols.Find("ncclCommInitRankConfig", &library->CommInitRankConfig);
  symbols.Find("ncclCommCount", &library->CommCount);
  symbols.Find("ncclCommUserRank", &library->CommUserRank);
  symbols.Find("ncclCommGetAsyncError", &library->CommGetAsyncError);
  symbols.Find("ncclCommFinalize", &library->CommFinalize);
  symbols.Find("ncclCommDestroy", &library->CommDestroy);
  symbols.Find("ncclCommAbort", &library->CommAbort);
  symbols.Find("ncclAllReduce", &library->AllReduce);
  symbols.Find("ncclBroadcast", &library->Broadcast);
  symbols.Find("ncclGetErrorString", &library->GetErrorString);
  symbols.Find("ncclGetLastError", &library->GetLastError);
  if (!symbols.missing().empty()) return Lacks(library->path, symbols.missing());
  return library;
}

}  // namespace evenkeel::client
