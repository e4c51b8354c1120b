#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "sqlite3.h"

namespace evenkeel::store {

// For tests: SQLite's file system, on a disk that can fail and a machine that can lose its power. It is the default of
// every connection that is opened while it lives, and must outlive them. Nothing is really synced: what a sync is for
// is part of the play. One at a time; thread-compatible.
class FaultVfs {
 public:
  FaultVfs();
  ~FaultVfs();
  FaultVfs(const FaultVfs&) = delete;
  FaultVfs& operator=(const FaultVfs&) = delete;

  // Changes (writes, truncations, syncs and deletions of files) since the start, failed ones included.
  int changes() const { return changes_; }
  // Every change fails with `result`, an SQLite result code, once there were `changes` of them; until Repair.
  void FailAfter(int changes, int result) { FailBetween(changes, kForEver, result); }
  // Only the next one after `changes` of them does.
  void FailOnceAfter(int changes, int result) { FailBetween(changes, changes + 1, result); }
  void Repair() { result_ = SQLITE_OK; }
  // Whether a change has failed.
  bool has_failed() const { return has_failed_; }

  // Writes the files of the directory `from` into the directory `to` as a disk has them that keeps nothing but what was
  // synced: each with its contents at its last sync, none that never was, and those that were deleted if their
  // directory was not synced after. What a file held when it was opened first was synced.
  void CopySynced(const std::string& from, const std::string& to) const;
  // Likewise, but some of what was not synced is there as well, by the sector of 512 bytes: the writes up to one of
  // them, the last in part; or, as disks do that reorder, any. `seed` says which.
  void CopyTorn(const std::string& from, const std::string& to, uint64_t seed) const;

 private:
  static constexpr int kForEver = 1 << 30;
  struct File;
  // A change of a file that was not synced since.
  struct Unsynced {
    std::string path;
    int64_t offset;
    std::string bytes;
    bool truncates;  // to `offset` bytes
  };
  struct Vfs : sqlite3_vfs {
    FaultVfs* owner;
  };

  template <auto kMethod, typename... Arguments>
  static int Forward(sqlite3_file* file, Arguments... arguments);
  static int Close(sqlite3_file* file);
  static int Write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset);
  static int Truncate(sqlite3_file* file, sqlite3_int64 size);
  static int Sync(sqlite3_file* file, int flags);
  static void ShmBarrier(sqlite3_file* file);
  static int Open(sqlite3_vfs* vfs, sqlite3_filename name, sqlite3_file* file, int flags, int* out_flags);
  static int Delete(sqlite3_vfs* vfs, const char* name, int sync_directory);
  static const sqlite3_io_methods* Methods();

  // The result of one more change: SQLITE_OK when it may go ahead.
  int Change();
  void FailBetween(int first, int last, int result);
  void KeepContents(const std::string& path);
  void KeepDeletions();

  sqlite3_vfs* const real_;
  Vfs vfs_;
  int changes_ = 0;
  int fail_after_ = 0;
  int fail_until_ = 0;
  int result_ = SQLITE_OK;
  bool has_failed_ = false;
  std::map<std::string, std::string> synced_;  // contents by path
  std::vector<Unsynced> unsynced_;
  std::set<std::string> opened_;
  std::set<std::string> deleted_;  // of those, with no sync of a directory since; all are in one
};

}  // namespace evenkeel::store
