#include "tools/record_view.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "base/json_text.h"

namespace evenkeel::tools {
namespace {

using Note = recorder::Replayer::Note;
using Difference = recorder::Replayer::Difference;

// "below min tokens"
std::string ReasonText(v1::UpdateReason::Kind reason) {
  return absl::AsciiStrToLower(absl::StrReplaceAll(v1::UpdateReason::Kind_Name(reason), {{"_", " "}}));
}

std::string NoteKind(Note::Kind kind) {
  switch (kind) {
    case Note::Kind::kGap:
      return "gap";
    case Note::Kind::kStarted:
      return "started";
    case Note::Kind::kBack:
      return "back";
    case Note::Kind::kConfig:
      return "config";
  }
  return "";
}

std::string DifferenceText(const Difference& difference) {
  std::string text =
      absl::StrFormat("step %d differs at layer %s: ", difference.step, absl::Utf8SafeCEscape(difference.layer));
  if (difference.recorded_hash != difference.replayed_hash) {
    absl::StrAppendFormat(&text, "the record has the bias %016x, the replay %016x", difference.recorded_hash,
                          difference.replayed_hash);
  } else {
    absl::StrAppendFormat(&text, "the bias is %016x in both", difference.recorded_hash);
  }
  const std::string recorded = ReasonText(difference.recorded_reason);
  const std::string replayed = ReasonText(difference.replayed_reason);
  if (recorded == replayed) return absl::StrCat(text, "; reason: ", recorded);
  return absl::StrCat(text, "; reason recorded: ", recorded, ", replayed: ", replayed);
}

std::string DifferenceJson(const Difference& difference) {
  return absl::StrFormat(
      R"({"step": %d, "layer": %s, "recorded_hash": "%016x", "replayed_hash": "%016x", "recorded_reason": "%s", )"
      R"("replayed_reason": "%s"})",
      difference.step, JsonString(difference.layer), difference.recorded_hash, difference.replayed_hash,
      v1::UpdateReason::Kind_Name(difference.recorded_reason), v1::UpdateReason::Kind_Name(difference.replayed_reason));
}

std::string NoteJson(const Note& note) {
  const std::string last = note.kind == Note::Kind::kGap ? absl::StrCat(", \"last\": ", note.last) : "";
  return absl::StrCat("{\"kind\": \"", NoteKind(note.kind), "\", \"step\": ", note.step, last, "}");
}

std::string JobJson(const recorder::FolderReplay& replay) {
  return absl::StrCat(
      "{\"job\": ", JsonString(replay.job), ", \"steps\": ", replay.steps, ", \"first\": ", replay.first,
      ", \"last\": ", replay.last, ", \"equal\": ", replay.difference.has_value() ? "false" : "true",
      ", \"difference\": ", replay.difference.has_value() ? DifferenceJson(*replay.difference) : "null",
      ", \"notes\": ", JsonList(replay.notes, NoteJson), ", \"damage\": ", JsonList(replay.damage, JsonString),
      ", \"torn\": ", JsonList(replay.torn, JsonString), "}");
}

}  // namespace

std::string NoteText(const Note& note) {
  switch (note.kind) {
    case Note::Kind::kGap:
      return absl::StrCat("steps ", note.step, " to ", note.last, " are not in the record");
    case Note::Kind::kStarted:
      return absl::StrCat("the coordinator was started again after step ", note.step);
    case Note::Kind::kBack:
      return absl::StrCat("the job was given the state after step ", note.step, ", by a rewind or PutState");
    case Note::Kind::kConfig:
      return absl::StrCat("the config was changed, or a halt ended, after step ", note.step);
  }
  return "";
}

bool IsSound(const recorder::FolderReplay& replay) { return !replay.difference.has_value() && replay.damage.empty(); }

std::string ShowReplay(const recorder::FolderReplay& replay) {
  std::string text = absl::StrCat("job ", absl::Utf8SafeCEscape(replay.job), ": ", replay.steps,
                                  replay.steps == 1 ? " step replayed" : " steps replayed");
  if (replay.steps > 0) absl::StrAppend(&text, ", ", replay.first, " to ", replay.last);
  absl::StrAppend(&text, replay.difference.has_value() ? "; run and record differ\n" : ", all equal\n");
  if (replay.difference.has_value()) absl::StrAppend(&text, "  ", DifferenceText(*replay.difference), "\n");
  for (const Note& note : replay.notes) absl::StrAppend(&text, "  ", NoteText(note), "\n");
  for (const std::string& damage : replay.damage) absl::StrAppend(&text, "  ", damage, "\n");
  for (const std::string& torn : replay.torn) absl::StrAppend(&text, "  ", torn, "\n");
  return text;
}

std::string ReplayJson(const std::vector<recorder::FolderReplay>& replays) {
  return absl::StrCat("{\"jobs\": ", JsonList(replays, JobJson), "}\n");
}

}  // namespace evenkeel::tools
