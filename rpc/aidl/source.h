// A source file in memory, and places in it.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace adyton::aidl {

// Immutable once made; every Location points into one that the Program keeps alive.
class SourceFile {
 public:
  SourceFile(std::string path, std::string text);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string_view text() const { return text_; }
  // The line that holds the byte at `offset`, 1-based, and where in it that byte stands, 1-based, in bytes.
  struct Position {
    uint32_t line = 1;
    uint32_t column = 1;
  };
  [[nodiscard]] Position position(uint32_t offset) const;
  // A line's text without its end. Empty past the last line.
  [[nodiscard]] std::string_view line(uint32_t number) const;

 private:
  std::string path_;
  std::string text_;
  std::vector<uint32_t> line_starts_;
};

// A run of bytes in a file. Default constructed it is nowhere: what the compiler itself has made.
struct Location {
  const SourceFile* file = nullptr;
  uint32_t offset = 0;
  uint32_t length = 0;

  [[nodiscard]] bool known() const { return file != nullptr; }
  // "path:line:column", or "" when nowhere.
  [[nodiscard]] std::string to_string() const;
};

}  // namespace adyton::aidl
