// For tests, by LD_PRELOAD: a disk whose syncs fail. The fsync and fdatasync calls of the process succeed until there
// were as many as FAILING_SYNC_AFTER says; all later ones do nothing and fail with EIO.

#include <dlfcn.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

namespace {

int Sync(const char* name, int descriptor) {
  static std::atomic<long> syncs{0};
  static const long good = std::atol(std::getenv("FAILING_SYNC_AFTER"));
  if (++syncs > good) {
    errno = EIO;
    return -1;
  }
  return reinterpret_cast<int (*)(int)>(dlsym(RTLD_NEXT, name))(descriptor);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int fsync(int descriptor) { return Sync("fsync", descriptor); }
extern "C" __attribute__((visibility("default"))) int fdatasync(int descriptor) {
  return Sync("fdatasync", descriptor);
}
