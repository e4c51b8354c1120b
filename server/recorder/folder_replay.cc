#include "server/recorder/folder_replay.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/recorder/folder.h"
#include "server/recorder/frame.h"

namespace evenkeel::recorder {
namespace {

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.is_open() && !file.bad()) return bytes;
  return absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(errno)));
}

// The step that the file begins after; nothing where it cannot be told.
absl::StatusOr<std::optional<uint64_t>> HeadStep(const std::string& path) {
  EVENKEEL_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  absl::StatusOr<FrameReader> reader = FrameReader::Open(bytes);
  if (!reader.ok()) return std::nullopt;
  const absl::StatusOr<std::optional<v1::RecordedEvent>> head = reader->Next();
  if (!head.ok() || !head->has_value()) return std::nullopt;
  return (*head)->state().state().version().step();
}

absl::StatusOr<size_t> FirstFile(const std::vector<RecordFile>& files, uint64_t from) {
  for (size_t i = files.size() - 1; i > 0 && from > 1; --i) {
    EVENKEEL_ASSIGN_OR_RETURN(const std::optional<uint64_t> step, HeadStep(files[i].path));
    if (step.has_value() && *step < from) return i;
  }
  return 0;
}

class Reading {
 public:
  Reading(const ReplayRange& range, const ReplayListener& listener) : range_(range), listener_(listener) {}

  // False where nothing more is to be read.
  absl::StatusOr<bool> Read(const RecordFile& file) {
    EVENKEEL_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(file.path));
    absl::StatusOr<FrameReader> reader = FrameReader::Open(bytes);
    if (!reader.ok()) return Damage(file, reader.status());
    while (true) {
      absl::StatusOr<std::optional<v1::RecordedEvent>> event = reader->Next();
      if (!event.ok()) return Damage(file, event.status());
      if (!event->has_value()) break;
      if ((*event)->has_commit() && (*event)->commit().version().step() > range_.to) return false;
      const absl::Status status = Take(**event);
      if (!status.ok()) return Damage(file, status);
      if (replayer_.difference().has_value()) return false;
    }
    if (reader->torn_bytes() > 0) {
      result_.torn.push_back(absl::StrCat(file.path, ": the last ", reader->torn_bytes(),
                                          " bytes are no whole event; its coordinator ended while it was written"));
    }
    return true;
  }

  FolderReplay Result() && {
    result_.difference = replayer_.difference();
    result_.notes = replayer_.notes();
    if (replayer_.state() != nullptr) result_.job = replayer_.plan().effective.name();
    return std::move(result_);
  }

 private:
  absl::Status Take(const v1::RecordedEvent& event) {
    EVENKEEL_RETURN_IF_ERROR(replayer_.Take(event));
    const uint64_t step = replayer_.state()->version.step();
    if (!event.has_commit() || step < range_.from) return absl::OkStatus();
    if (result_.steps++ == 0) result_.first = step;
    result_.last = step;
    if (listener_.step) listener_.step(replayer_);
    return absl::OkStatus();
  }

  bool Damage(const RecordFile& file, const absl::Status& status) {
    result_.damage.push_back(absl::StrCat(file.path, ": ", status.message()));
    return true;
  }

  const ReplayRange range_;
  const ReplayListener& listener_;
  Replayer replayer_;
  FolderReplay result_;
};

}  // namespace

absl::StatusOr<FolderReplay> ReplayFolder(const std::string& folder, const ReplayRange& range,
                                          const ReplayListener& listener) {
  EVENKEEL_ASSIGN_OR_RETURN(const std::vector<RecordFile> files, ListFiles(folder));
  if (files.empty()) return absl::NotFoundError(absl::StrCat(folder, ": no file of a record is here"));
  EVENKEEL_ASSIGN_OR_RETURN(const size_t first, FirstFile(files, range.from));
  Reading reading(range, listener);
  for (size_t i = first; i < files.size(); ++i) {
    if (listener.file) listener.file(i - first, files.size() - first);
    EVENKEEL_ASSIGN_OR_RETURN(const bool goes_on, reading.Read(files[i]));
    if (!goes_on) break;
  }
  return std::move(reading).Result();
}

}  // namespace evenkeel::recorder
