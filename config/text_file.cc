#include "config/text_file.h"

#include <cerrno>
#include <cstdio>
#include <memory>

#include "absl/status/status.h"
#include "config/yaml_document.h"

namespace evenkeel::config {

absl::StatusOr<std::string> ReadTextFile(const std::string& path) {
  const auto failed = [&path](int error) { return absl::ErrnoToStatus(error, path); };
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "rbe"), std::fclose);
  if (file == nullptr) return failed(errno);
  std::string text(kMaxTextBytes + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return failed(errno);
  return text;
}

}  // namespace evenkeel::config
