// Text of a C++ file as it grows: indentation, lines that are broken at 130 columns, comments.
#pragma once
#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "rpc/aidl/ast.h"

namespace adyton::aidl {

class Writer {
 public:
  static constexpr size_t kColumns = 130;

  explicit Writer(size_t tab = 2) : tab_(tab) {}

  template <typename... Arguments>
  void line(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    text(fmt::format(format, std::forward<Arguments>(arguments)...));
  }
  // One or more lines as they are, each indented; an empty one is never followed by another.
  void text(std::string_view lines);
  void blank();
  // At half of an indentation: access specifiers.
  void label(std::string_view name);
  // `head` item, item, ... `tail`: on one line if it fits, else broken after commas, continued behind the head's last bracket or,
  // if that is too far right, four columns in.
  void list(std::string_view head, const std::vector<std::string>& items, std::string_view tail);
  // A declaration's documentation, if it has any.
  void comment(const Comment& comment);

  void indent() { ++depth_; }
  void outdent() { --depth_; }

  [[nodiscard]] const std::string& str() const { return out_; }

 private:
  void put(size_t column, std::string_view line);

  std::string out_;
  size_t tab_;
  size_t depth_ = 0;
};

}  // namespace adyton::aidl
