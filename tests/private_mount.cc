#include "tests/private_mount.h"

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "tests/child_process.h"

namespace evenkeel::tests {
namespace {

absl::Status Denied(const char* call) {
  return absl::PermissionDeniedError(
      absl::StrCat("this machine does not let a test mount: ", call, ": ", strerror(errno)));
}

// A namespace of our own; where that takes root, as the root of a user namespace of our own.
absl::Status EnterNamespace() {
  const uid_t user = getuid();
  const gid_t group = getgid();
  if (unshare(CLONE_NEWNS) != 0) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return Denied("unshare");
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << "0 " << user << " 1";
    std::ofstream("/proc/self/gid_map") << "0 " << group << " 1";
  }
  return mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 ? absl::OkStatus() : Denied("mount /");
}

}  // namespace

absl::StatusOr<PrivateMount> PrivateMount::Mount(size_t bytes) {
  static const absl::Status* const kEntered = new absl::Status(EnterNamespace());
  EVENKEEL_RETURN_IF_ERROR(*kEntered);
  const std::string path = NewFolder("mount");
  if (mount("tmpfs", path.c_str(), "tmpfs", 0, absl::StrCat("size=", bytes).c_str()) != 0) return Denied("mount");
  return PrivateMount(path);
}

PrivateMount::~PrivateMount() {
  if (!path_.empty()) umount2(path_.c_str(), MNT_DETACH);
}

PrivateMount::PrivateMount(PrivateMount&& other) noexcept : path_(std::exchange(other.path_, "")) {}

absl::Status PrivateMount::Remount(unsigned long flags, const std::string& options) {
  const int result = mount("tmpfs", path_.c_str(), "tmpfs", MS_REMOUNT | flags, options.c_str());
  return result == 0 ? absl::OkStatus() : Denied("remount");
}

absl::Status PrivateMount::SetReadOnly() { return Remount(MS_RDONLY, ""); }

absl::Status PrivateMount::Resize(size_t bytes) { return Remount(0, absl::StrCat("size=", bytes)); }

}  // namespace evenkeel::tests
