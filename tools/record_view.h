#pragma once

#include <string>
#include <vector>

#include "server/recorder/folder_replay.h"

// What `evenkeel replay --record` tells. Pure functions.
namespace evenkeel::tools {

// One of the things that a record tells beside its steps, as a sentence.
std::string NoteText(const recorder::Replayer::Note& note);

// Whether run and record are the same, as far as the record goes, and all of it could be read.
bool IsSound(const recorder::FolderReplay& replay);

// For people: what differs, what is missing and what has happened, a line each.
std::string ShowReplay(const recorder::FolderReplay& replay);

// For scripts: {"jobs": [...]}.
std::string ReplayJson(const std::vector<recorder::FolderReplay>& replays);

}  // namespace evenkeel::tools
