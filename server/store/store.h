#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/core/record.h"

namespace evenkeel::store {

// The coordinator's memory: one SQLite database (WAL, synchronous=FULL) in a state directory of its own, which one
// process at a time may hold. Not thread-safe: one thread owns it.
class Store {
 public:
  // Makes the directory if it is missing, locks it, opens or creates the database, checks its integrity, and brings one
  // of an earlier schema version to this one. Every message names the path.
  //   FAILED_PRECONDITION  another process holds the directory, or the database is of a later schema version or of
  //                        another program
  //   DATA_LOSS            the database is damaged
  //   UNAVAILABLE          the directory cannot be made, read or written (the message carries the cause)
  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& directory);

  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Every job that has not expired, in ascending order of names.
  //   DATA_LOSS            naming path and job: the checksum of a row or a state is wrong, a state is misshapen, the
  //                        newest version's state or one that it needs (core::EarlierSteps) is missing, or a member is
  //                        not the job's
  //   FAILED_PRECONDITION  naming the job: a state is in the format of a newer program
  absl::StatusOr<std::vector<core::JobRecord>> Load();

  // The job, where it has expired. Errors as of Load.
  absl::StatusOr<std::optional<core::JobRecord>> LoadExpired(const std::string& job);

  // An error about what was loaded, with the path, and with what people can do about damage.
  absl::Status Explain(const absl::Status& status) const;

  // The state of a job after `step`; none where it is not kept. Errors as of Load.
  absl::StatusOr<std::optional<v1::JobState>> State(const std::string& job, uint64_t step);

  // Applies all writes in one transaction, in order. On OK they are on disk.
  // On any error the store is out of use: it answers FAILED_PRECONDITION from then on, because what the operating
  // system still holds after a failed fsync is unknown. The next Open finds all of the writes or none of them, and
  // nobody may be told of them before. UNAVAILABLE (the disk fails, or is full), DATA_LOSS (the database is damaged),
  // FAILED_PRECONDITION (another program writes to it) or INTERNAL.
  // Aborts when a state is not of the job that its write names.
  absl::Status Apply(absl::Span<const core::Write> writes);

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace evenkeel::store
