#include "server/recorder/job_record.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "server/recorder/folder.h"
#include "server/recorder/frame.h"

namespace evenkeel::recorder {
namespace {

// 0, or what write() has failed with.
int WriteAll(int file, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    bytes.remove_prefix(written);
  }
  return 0;
}

absl::Status Unusable(const std::string& path, int error) {
  return absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(error)));
}

}  // namespace

JobRecord::JobRecord(std::string folder, const Bounds& bounds) : folder_(std::move(folder)), bounds_(bounds) {}

JobRecord::~JobRecord() { Close(); }

void JobRecord::Close() {
  if (file_ >= 0) close(file_);
  file_ = -1;
}

void JobRecord::GoOnFrom(v1::RecordedState::Cause cause, WholeState state) {
  Close();
  cause_ = cause;
  state_ = std::move(state);
}

absl::Status JobRecord::Take(Event event) {
  const bool is_known = state_.newest != nullptr;
  v1::RecordedEvent message;
  if (is_known && event.commit.has_value()) {
    *message.mutable_commit() = RecordedCommitOf(*event.commit, *event.state.newest);
  } else if (is_known && DifferInConfigOnly(*state_.newest, *event.state.newest)) {
    *message.mutable_config() = RecordedConfigOf(*event.state.newest);
  } else {
    GoOnFrom(is_known ? v1::RecordedState::REPLACED : cause_, std::move(event.state));
    return absl::OkStatus();
  }
  absl::Status status;
  if (file_ >= 0 && bytes_ >= bounds_.file_bytes && events_ > 1) Close();
  if (file_ < 0) status = MakeFile();
  if (status.ok()) status = Write(std::move(message));
  if (!status.ok()) Close();
  // Where the record goes on, whether or not the event is in it.
  cause_ = status.ok() ? v1::RecordedState::FULL : v1::RecordedState::GAP;
  state_ = std::move(event.state);
  return status;
}

// With the state, and the name, of where the job is.
absl::Status JobRecord::MakeFile() {
  EVENKEEL_RETURN_IF_ERROR(MakeFolder(folder_));
  if (file_number_ == 0) {
    EVENKEEL_ASSIGN_OR_RETURN(const std::vector<RecordFile> files, ListFiles(folder_));
    if (!files.empty()) file_number_ = files.back().number;
  }
  path_ = FilePath(folder_, ++file_number_);
  file_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, S_IRUSR | S_IWUSR);
  bytes_ = 0;
  events_ = 0;
  if (file_ < 0) return Unusable(path_, errno);
  const std::string header = FileHeader();
  const int error = WriteAll(file_, header);
  if (error != 0) return TakeBack(error);
  bytes_ = static_cast<int64_t>(header.size());
  v1::RecordedEvent event;
  *event.mutable_state() = RecordedStateOf(cause_, state_);
  EVENKEEL_RETURN_IF_ERROR(Write(std::move(event)));
  return RemoveOldFiles();
}

absl::Status JobRecord::Write(v1::RecordedEvent event) {
  event.set_number(events_);
  event.set_unix_millis(absl::ToUnixMillis(absl::Now()));
  const std::string frame = Frame(event);
  const int error = WriteAll(file_, frame);
  if (error != 0) return TakeBack(error);
  bytes_ += static_cast<int64_t>(frame.size());
  ++events_;
  return absl::OkStatus();
}

// What was begun of an event is taken back; a file without events is of no use.
absl::Status JobRecord::TakeBack(int error) {
  if (events_ == 0 || ftruncate(file_, bytes_) != 0) unlink(path_.c_str());
  return Unusable(path_, error);
}

// The newest comes last, and stays.
absl::Status JobRecord::RemoveOldFiles() {
  EVENKEEL_ASSIGN_OR_RETURN(std::vector<RecordFile> files, ListFiles(folder_));
  int64_t bytes = bounds_.file_bytes;  // what the new file may come to
  for (const RecordFile& file : files) bytes += static_cast<int64_t>(file.bytes);
  for (size_t i = 0; i + 1 < files.size() && bytes > bounds_.job_bytes; ++i) {
    if (unlink(files[i].path.c_str()) != 0) return Unusable(files[i].path, errno);
    bytes -= static_cast<int64_t>(files[i].bytes);
  }
  return absl::OkStatus();
}

}  // namespace evenkeel::recorder
