#include "server/store/fault_vfs.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <new>
#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "base/check.h"

namespace evenkeel::store {
namespace {

constexpr size_t kSector = 512;

void Overwrite(const std::string& bytes, size_t offset, std::string* contents) {
  if (contents->size() < offset + bytes.size()) contents->resize(offset + bytes.size());
  contents->replace(offset, bytes.size(), bytes);
}

// Those of the directory `from` into the directory `to`.
void WriteFiles(const std::map<std::string, std::string>& files, const std::string& from, const std::string& to) {
  for (const auto& [path, contents] : files) {
    if (!absl::StartsWith(path, from + "/")) continue;
    std::ofstream(to + path.substr(from.size()), std::ios::binary) << contents;
  }
}

}  // namespace

// What SQLite holds as a sqlite3_file; the real one's lies behind it in the same memory.
struct FaultVfs::File {
  sqlite3_file base;
  FaultVfs* owner;
  std::string path;  // empty for SQLite's temporary files
  // Whether the first sync is one of the directory, too: that of a journal's file.
  bool syncs_directory;

  static File* Of(sqlite3_file* file) { return reinterpret_cast<File*>(file); }
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

FaultVfs::FaultVfs() : real_(sqlite3_vfs_find(nullptr)) {
  static_cast<sqlite3_vfs&>(vfs_) = *real_;
  vfs_.zName = "fault";
  vfs_.szOsFile = static_cast<int>(sizeof(File)) + real_->szOsFile;
  vfs_.xOpen = Open;
  vfs_.xDelete = Delete;
  vfs_.owner = this;
  EVENKEEL_CHECK(sqlite3_vfs_register(&vfs_, /*makeDflt=*/1) == SQLITE_OK);
}

FaultVfs::~FaultVfs() {
  sqlite3_vfs_unregister(&vfs_);
  sqlite3_vfs_register(real_, /*makeDflt=*/1);
}

void FaultVfs::FailBetween(int first, int last, int result) {
  fail_after_ = first;
  fail_until_ = last;
  result_ = result;
}

void FaultVfs::CopySynced(const std::string& from, const std::string& to) const { WriteFiles(synced_, from, to); }

void FaultVfs::CopyTorn(const std::string& from, const std::string& to, uint64_t seed) const {
  std::mt19937_64 random(seed);
  std::map<std::string, std::string> files = synced_;
  const bool in_order = random() % 2 == 0;
  const size_t last = in_order && !unsynced_.empty() ? random() % unsynced_.size() : unsynced_.size();
  for (size_t i = 0; i < unsynced_.size() && i <= last; ++i) {
    const Unsynced& change = unsynced_[i];
    const bool whole = in_order && i < last;
    if (!whole && random() % 4 == 0) continue;
    std::string& contents = files[change.path];
    if (change.truncates) {
      contents.resize(change.offset);
      continue;
    }
    for (size_t at = 0; at < change.bytes.size(); at += kSector) {
      if (whole || random() % 8 != 0) Overwrite(change.bytes.substr(at, kSector), change.offset + at, &contents);
    }
  }
  for (const std::string& path : deleted_) {
    if (random() % 2 == 0) files.erase(path);
  }
  WriteFiles(files, from, to);
}

void FaultVfs::KeepContents(const std::string& path) {
  std::string& contents = synced_[path];
  contents.resize(std::filesystem::file_size(path));
  std::ifstream(path, std::ios::binary).read(contents.data(), static_cast<std::streamsize>(contents.size()));
  deleted_.erase(path);
  unsynced_.erase(
      std::remove_if(unsynced_.begin(), unsynced_.end(), [&](const Unsynced& change) { return change.path == path; }),
      unsynced_.end());
}

void FaultVfs::KeepDeletions() {
  for (const std::string& path : deleted_) synced_.erase(path);
  deleted_.clear();
}

int FaultVfs::Change() {
  ++changes_;
  if (result_ == SQLITE_OK || changes_ <= fail_after_ || changes_ > fail_until_) return SQLITE_OK;
  has_failed_ = true;
  return result_;
}

template <auto kMethod, typename... Arguments>
int FaultVfs::Forward(sqlite3_file* file, Arguments... arguments) {
  sqlite3_file* const real = File::Of(file)->real();
  return (real->pMethods->*kMethod)(real, arguments...);
}

int FaultVfs::Close(sqlite3_file* file) {
  const int result = Forward<&sqlite3_io_methods::xClose>(file);
  File::Of(file)->~File();
  return result;
}

int FaultVfs::Write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
  File* const written = File::Of(file);
  const int result = written->owner->Change();
  if (result != SQLITE_OK) return result;
  const std::string bytes(static_cast<const char*>(data), size);
  written->owner->unsynced_.push_back({written->path, offset, bytes, /*truncates=*/false});
  return Forward<&sqlite3_io_methods::xWrite>(file, data, size, offset);
}

int FaultVfs::Truncate(sqlite3_file* file, sqlite3_int64 size) {
  File* const cut = File::Of(file);
  const int result = cut->owner->Change();
  if (result != SQLITE_OK) return result;
  cut->owner->unsynced_.push_back({cut->path, size, "", /*truncates=*/true});
  return Forward<&sqlite3_io_methods::xTruncate>(file, size);
}

int FaultVfs::Sync(sqlite3_file* file, int /*flags*/) {
  File* const synced = File::Of(file);
  const int result = synced->owner->Change();
  if (result != SQLITE_OK) return result;
  if (!synced->path.empty()) synced->owner->KeepContents(synced->path);
  if (std::exchange(synced->syncs_directory, false)) synced->owner->KeepDeletions();
  return SQLITE_OK;
}

void FaultVfs::ShmBarrier(sqlite3_file* file) {
  sqlite3_file* const real = File::Of(file)->real();
  real->pMethods->xShmBarrier(real);
}

const sqlite3_io_methods* FaultVfs::Methods() {
  static const sqlite3_io_methods kMethods = {
      /*iVersion=*/3,
      Close,
      Forward<&sqlite3_io_methods::xRead>,
      Write,
      Truncate,
      Sync,
      Forward<&sqlite3_io_methods::xFileSize>,
      Forward<&sqlite3_io_methods::xLock>,
      Forward<&sqlite3_io_methods::xUnlock>,
      Forward<&sqlite3_io_methods::xCheckReservedLock>,
      Forward<&sqlite3_io_methods::xFileControl>,
      Forward<&sqlite3_io_methods::xSectorSize>,
      Forward<&sqlite3_io_methods::xDeviceCharacteristics>,
      Forward<&sqlite3_io_methods::xShmMap>,
      Forward<&sqlite3_io_methods::xShmLock>,
      ShmBarrier,
      Forward<&sqlite3_io_methods::xShmUnmap>,
      Forward<&sqlite3_io_methods::xFetch>,
      Forward<&sqlite3_io_methods::xUnfetch>,
  };
  return &kMethods;
}

int FaultVfs::Open(sqlite3_vfs* vfs, sqlite3_filename name, sqlite3_file* file, int flags, int* out_flags) {
  FaultVfs* const owner = static_cast<Vfs*>(vfs)->owner;
  const bool is_first = name != nullptr && owner->opened_.insert(name).second;
  if (is_first && std::filesystem::is_regular_file(name)) owner->KeepContents(name);
  const bool journal = (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL)) != 0;
  File* const opened = new (file) File{{nullptr}, owner, name == nullptr ? "" : name, journal};
  const int result = owner->real_->xOpen(owner->real_, name, opened->real(), flags, out_flags);
  // SQLite calls Close if, and only if, there are methods.
  if (opened->real()->pMethods != nullptr) {
    opened->base.pMethods = Methods();
  } else {
    opened->~File();
  }
  return result;
}

int FaultVfs::Delete(sqlite3_vfs* vfs, const char* name, int sync_directory) {
  FaultVfs* const owner = static_cast<Vfs*>(vfs)->owner;
  const int result = owner->Change();
  if (result != SQLITE_OK) return result;
  owner->deleted_.insert(name);
  if (sync_directory != 0) owner->KeepDeletions();
  return owner->real_->xDelete(owner->real_, name, sync_directory);
}

}  // namespace evenkeel::store
