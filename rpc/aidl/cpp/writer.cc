#include "rpc/aidl/cpp/writer.h"

namespace adyton::aidl {
namespace {

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

template <typename Function>
void for_each_line(std::string_view text, Function function) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    function(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  }
}

}  // namespace

void Writer::put(size_t column, std::string_view line) {
  if (!line.empty()) out_.append(column, ' ').append(line);
  out_ += '\n';
}

void Writer::text(std::string_view lines) {
  if (lines.empty()) return blank();
  for_each_line(lines, [&](std::string_view line) {
    if (line.empty()) {
      blank();
    } else {
      // The preprocessor's lines start at the margin.
      put(line.front() == '#' ? 0 : depth_ * tab_, line);
    }
  });
}

void Writer::blank() {
  if (!out_.empty() && !out_.ends_with("\n\n")) out_ += '\n';
}

void Writer::label(std::string_view name) { put(depth_ * tab_ - tab_ / 2 - tab_ % 2, name); }

void Writer::list(std::string_view head, const std::vector<std::string>& items, std::string_view tail) {
  std::string whole(head);
  for (size_t i = 0; i < items.size(); ++i) whole += (i == 0 ? "" : ", ") + items[i];
  whole += tail;
  const size_t margin = depth_ * tab_;
  if (items.empty() || margin + whole.size() <= kColumns) return put(margin, whole);

  size_t longest = 0;
  for (const std::string& item : items) longest = std::max(longest, item.size() + 1);
  longest = std::max(longest, items.back().size() + tail.size());
  const bool behind = margin + head.size() + longest <= kColumns;
  const size_t column = behind ? margin + head.size() : margin + 4;

  std::string line(head);
  size_t start = margin;
  if (!behind) {
    put(margin, head);
    line.clear();
    start = column;
  }
  for (size_t i = 0; i < items.size(); ++i) {
    const bool last = i + 1 == items.size();
    const std::string item = items[i] + (last ? std::string(tail) : ",");
    const bool first_on_line = line.empty() || (behind && start == margin && line.size() == head.size());
    if (!first_on_line && start + line.size() + 1 + item.size() > kColumns) {
      put(start, line);
      line.clear();
      start = column;
    }
    if (!line.empty() && !(start == margin && behind && line.size() == head.size())) line += ' ';
    line += item;
  }
  put(start, line);
}

void Writer::comment(const Comment& comment) {
  bool block = false;
  for_each_line(comment.text, [&](std::string_view line) {
    line = trim(line);
    if (line.starts_with("/*")) block = true;
    // A block's inner lines stand under its first star. What is no star of the block's own frame keeps its distance.
    const bool inner = block && !line.starts_with("/*");
    put(depth_ * tab_, inner && line.starts_with("*") ? " " + std::string(line)
                       : inner && !line.empty()       ? "   " + std::string(line)
                                                      : std::string(line));
    if (line.ends_with("*/")) block = false;
  });
}

}  // namespace adyton::aidl
