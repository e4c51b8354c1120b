#pragma once

#include <string>

#include "tools/report/run_picture.h"

// The pictures of a report, as SVG elements that are styled by the page's classes. Pure functions.
namespace evenkeel::tools {

// Rows of layers, columns of experts; the class of a cell is that of its load's level (l0 to l18, load_level.h).
std::string LoadPicture(const std::vector<LoadRow>& rows);

// What the colours of a LoadPicture mean.
std::string LoadLegend();

// The max violation over the steps, on a logarithmic scale: the largest of all rows (class worst), their mean (class
// mean), and at the mean of the rows' noise floors a line (class floor) where they are told. Events are marks.
std::string ViolationPicture(const RunPicture& picture);

// The bias of a row's experts over the steps: from the smallest to the largest, the middle eight tenths, and the three
// that end highest (class high) and lowest (class low).
std::string BiasPicture(const v1::GetHistoryResponse& bias, int num_experts);

}  // namespace evenkeel::tools
