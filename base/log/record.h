// One message of the log, before anybody has written it down.
#pragma once
#include <sys/types.h>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/log/level.h"

namespace adyton::log {

// A key and its value. Keys are ours, [a-z][a-z0-9_]*; values may be a guest's, and are escaped where they are written. It holds
// views: it lives as long as the call that it is an argument of.
class Field {
 public:
  Field(std::string_view key, std::string_view text) : key_(key), text_(text) {}
  Field(std::string_view key, const char* text) : Field(key, std::string_view(text)) {}
  Field(std::string_view key, bool value) : Field(key, value ? "true" : "false") {}
  template <std::integral T>
  Field(std::string_view key, T value)
      : key_(key),
        is_number_(true),
        negative_(value < T{}),
        magnitude_(negative_ ? uint64_t{0} - static_cast<uint64_t>(value) : static_cast<uint64_t>(value)) {}

  [[nodiscard]] std::string_view key() const { return key_; }
  [[nodiscard]] bool is_number() const { return is_number_; }
  // Of a number: its sign and the rest of it. Of a text: text().
  [[nodiscard]] bool negative() const { return negative_; }
  [[nodiscard]] uint64_t magnitude() const { return magnitude_; }
  [[nodiscard]] std::string_view text() const { return text_; }

 private:
  std::string_view key_;
  std::string_view text_;
  bool is_number_ = false;
  bool negative_ = false;
  uint64_t magnitude_ = 0;
};

struct Record {
  std::chrono::system_clock::time_point time;
  Level level = Level::kInfo;
  pid_t pid = 0;                   // of the process that has something to say
  std::string_view component;      // the part of it: "vm", "virtio"; ours
  std::span<const Field> context;  // whose log it is: the VM's name, say
  std::span<const Field> fields;
  std::string_view message;  // any bytes
};

}  // namespace adyton::log
