#pragma once

#include "tools/command.h"

namespace evenkeel::tools {

// evenkeel describe-model: the layers and routers of a Hugging Face config.json.
extern const Command kDescribeModelCommand;

}  // namespace evenkeel::tools
