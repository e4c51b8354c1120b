#include "client/reduce/file_rendezvous.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "client/link/backoff.h"
#include "rendezvous/missing_ranks.h"

namespace evenkeel::client {
namespace {

constexpr BackoffOptions kPolling = {std::chrono::milliseconds(1), std::chrono::milliseconds(250)};

Deadline Now() { return std::chrono::steady_clock::now(); }

absl::Status Failed(absl::string_view deed, const std::string& path, int error) {
  return absl::UnavailableError(absl::StrCat("cannot ", deed, " ", path, ": ", std::strerror(error)));
}

// A file name for three names of any length and any characters, such that no other three have it.
std::string FolderName(const GroupPlace& place, const std::string& key) {
  const std::string names = absl::StrCat(place.job.size(), ",", place.group.size(), ":", place.job, place.group, key);
  const XXH128_hash_t hash = XXH3_128bits(names.data(), names.size());
  return absl::StrFormat("rendezvous-%016x%016x", hash.high64, hash.low64);
}

uint64_t TokenOf(uint64_t incarnation, const std::string& value) {
  return std::max<uint64_t>(XXH3_64bits_withSeed(value.data(), value.size(), incarnation), 1);
}

// Appends the file to `bytes`. Returns 0 or an errno.
int ReadAll(const std::string& path, std::string* bytes) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return errno;
  char buffer[1 << 16];
  ssize_t count = 0;
  do {
    count = read(file, buffer, sizeof(buffer));
    if (count > 0) bytes->append(buffer, count);
  } while (count > 0 || (count < 0 && errno == EINTR));
  const int error = count < 0 ? errno : 0;
  close(file);
  return error;
}

// Reads what rank `rank` left in `folder`; a record without a token where there is nothing.
absl::StatusOr<FileRecord> Read(const std::string& folder, int rank) {
  const std::string path = absl::StrCat(folder, "/", rank);
  std::string bytes;
  const int error = ReadAll(path, &bytes);
  // Over NFS a file that has been replaced since it was opened is stale: it is there again the next time.
  if (error == ENOENT || error == ESTALE) return FileRecord();
  if (error != 0) return Failed("read", path, error);
  absl::StatusOr<FileRecord> record = ParseFileRecord(bytes);
  if (!record.ok()) return absl::DataLossError(absl::StrCat(path, ": ", record.status().message()));
  return record;
}

absl::Status Write(const std::string& folder, int rank, const FileRecord& record) {
  const std::string path = absl::StrCat(folder, "/", rank);
  const std::string beside = absl::StrFormat("%s.%016x", path, record.token);
  {
    errno = 0;
    std::ofstream file(beside, std::ios::binary | std::ios::trunc);
    file << Serialize(record);
    file.close();
    if (!file) return Failed("write", beside, errno);
  }
  if (std::rename(beside.c_str(), path.c_str()) != 0) return Failed("rename to", path, errno);
  return absl::OkStatus();
}

// One exchange, as one rank sees it.
class Meeting {
 public:
  Meeting(std::string folder, int rank, int size, FileRecord own)
      : folder_(std::move(folder)), rank_(rank), own_(std::move(own)), peers_(size) {
    own_.seen.resize(size);
    own_.seen[rank] = own_.token;
  }

  absl::Status Leave() const { return Write(folder_, rank_, own_); }

  // Looks at the records of the others, of all or of those that did not agree, and notes what it sees.
  absl::Status Look(bool at_all) {
    bool news = false;
    for (int peer = 0; peer < size(); ++peer) {
      if (peer == rank_ || (!at_all && Agrees(peer))) continue;
      EVENKEEL_ASSIGN_OR_RETURN(peers_[peer], Read(folder_, peer));
      news |= own_.seen[peer] != peers_[peer].token;
      own_.seen[peer] = peers_[peer].token;
    }
    return news ? Leave() : absl::OkStatus();
  }

  // Those who do not agree. Where all agree, all have come: each has seen each.
  std::vector<int> Missing() const {
    std::vector<int> missing;
    for (int peer = 0; peer < size(); ++peer) {
      if (peer != rank_ && !Agrees(peer)) missing.push_back(peer);
    }
    return missing;
  }

  std::vector<std::string> Values() const {
    std::vector<std::string> values;
    for (int peer = 0; peer < size(); ++peer) values.push_back(peer == rank_ ? own_.value : peers_[peer].value);
    return values;
  }

 private:
  int size() const { return static_cast<int>(peers_.size()); }
  // Whether that rank has seen what this one has. One that has not come, has seen nothing.
  bool Agrees(int peer) const { return peers_[peer].seen == own_.seen; }

  const std::string folder_;
  const int rank_;
  FileRecord own_;
  std::vector<FileRecord> peers_;
};

}  // namespace

FileRendezvous::FileRendezvous(std::string folder, GroupPlace place, uint64_t incarnation)
    : folder_(std::move(folder)), place_(std::move(place)), incarnation_(incarnation) {}

absl::StatusOr<std::vector<std::string>> FileRendezvous::Exchange(const std::string& key, const std::string& value,
                                                                  Deadline deadline) {
  EVENKEEL_RETURN_IF_ERROR(CheckRendezvousValue(value));
  const std::string folder = absl::StrCat(folder_, "/", FolderName(place_, key));
  if (mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST) return Failed("make the folder", folder, errno);

  Meeting meeting(folder, place_.rank, place_.size, {TokenOf(incarnation_, value), {}, value});
  EVENKEEL_RETURN_IF_ERROR(meeting.Leave());
  Backoff backoff(kPolling, incarnation_);
  while (true) {
    EVENKEEL_RETURN_IF_ERROR(meeting.Look(/*at_all=*/false));
    if (meeting.Missing().empty()) {
      // Those who agreed early may have ended, and begun anew, since.
      EVENKEEL_RETURN_IF_ERROR(meeting.Look(/*at_all=*/true));
      if (meeting.Missing().empty()) return meeting.Values();
    }
    if (Now() >= deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat("rank ", place_.rank, " of group \"", place_.group, "\" at the rendezvous \"", key, "\" in ",
                       folder, ": ", rendezvous::NameRanks(meeting.Missing()), " of ", place_.size, " did not come"));
    }
    std::this_thread::sleep_until(std::min(deadline, Now() + backoff.Next()));
  }
}

}  // namespace evenkeel::client
