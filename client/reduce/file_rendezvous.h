#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/reduce/file_record.h"
#include "client/reduce/rendezvous.h"

namespace evenkeel::client {

// Meets in a folder of a file system that all ranks share. For one thread at a time.
//
// A rank leaves a record with its value and with what it has seen of the others, and is done when the records of all
// say the same: that each has seen each. So all ranks get the same answer, and what an earlier life of a rank left
// behind is no part of it: it has not seen the others'.
//
// Records are whole or not there (written beside, then renamed), and stay: a file of the value and 8 bytes a rank, for
// each rank, key and group. A rank looks for others every quarter of a second at the latest; a network file system may
// take longer (NFS: as long as it caches attributes, seconds) to show what another machine wrote.
class FileRendezvous final : public Rendezvous {
 public:
  // In `folder`, which is there already. `incarnation` is random, one process's life.
  FileRendezvous(std::string folder, GroupPlace place, uint64_t incarnation);

  // UNAVAILABLE, naming the path, where a file cannot be read or written; DATA_LOSS where it is no record.
  absl::StatusOr<std::vector<std::string>> Exchange(const std::string& key, const std::string& value,
                                                    Deadline deadline) override;

 private:
  const std::string folder_;
  const GroupPlace place_;
  const uint64_t incarnation_;
};

}  // namespace evenkeel::client
