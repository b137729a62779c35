#include "rpc/aidl/source.h"

#include <fmt/format.h>

#include <algorithm>

namespace adyton::aidl {

SourceFile::SourceFile(std::string path, std::string text) : path_(std::move(path)), text_(std::move(text)) {
  line_starts_.push_back(0);
  for (size_t i = text_.find('\n'); i != std::string::npos; i = text_.find('\n', i + 1)) line_starts_.push_back(static_cast<uint32_t>(i + 1));
}

SourceFile::Position SourceFile::position(uint32_t offset) const {
  offset = std::min(offset, static_cast<uint32_t>(text_.size()));
  const auto next = std::upper_bound(line_starts_.begin(), line_starts_.end(), offset);
  return {static_cast<uint32_t>(next - line_starts_.begin()), offset - *(next - 1) + 1};
}

std::string_view SourceFile::line(uint32_t number) const {
  if (number == 0 || number > line_starts_.size()) return {};
  const size_t begin = line_starts_[number - 1];
  size_t end = number == line_starts_.size() ? text_.size() : line_starts_[number] - 1;
  if (end > begin && text_[end - 1] == '\r') --end;
  return std::string_view(text_).substr(begin, end - begin);
}

std::string Location::to_string() const {
  if (!known()) return {};
  const auto [line, column] = file->position(offset);
  return fmt::format("{}:{}:{}", file->path(), line, column);
}

}  // namespace adyton::aidl
