#include "tools/npy/npy_check.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace evenkeel::tools {

absl::Status CheckType(const std::string& path, const NpyArray& array, absl::Span<const NpyType> types) {
  if (std::find(types.begin(), types.end(), array.type()) != types.end()) return absl::OkStatus();
  const auto add_name = [](std::string* out, NpyType type) { absl::StrAppend(out, NpyTypeName(type)); };
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": dtype ", NpyTypeName(array.type()), " is not ", absl::StrJoin(types, " or ", add_name)));
}

absl::Status CheckShape(const std::string& path, const NpyArray& array, absl::Span<const Axis> axes) {
  bool is_as_asked = array.shape().size() == axes.size();
  for (size_t i = 0; i < axes.size() && is_as_asked; ++i) {
    is_as_asked = axes[i].size == kAnySize || axes[i].size == array.shape()[i];
  }
  if (is_as_asked) return absl::OkStatus();
  const auto add_axis = [](std::string* out, const Axis& axis) {
    absl::StrAppend(out, axis.name);
    if (axis.size != kAnySize) absl::StrAppend(out, " = ", axis.size);
  };
  return absl::InvalidArgumentError(absl::StrCat(path, ": shape ", NpyShapeText(array.shape()), " is not [",
                                                 absl::StrJoin(axes, ", ", add_axis), "]"));
}

}  // namespace evenkeel::tools
