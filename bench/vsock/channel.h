// The work that every channel between a guest and its host is given, and the one language in which both ends speak of it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace adyton::bench {

// What the guest asks for at the start of a job, on the stream itself.
struct Job {
  enum Kind : uint32_t {
    kUp = 1,    // the guest sends `total` bytes; the host answers with one byte when it has them all
    kDown = 2,  // the host sends `total` bytes
    kEcho = 3,  // the guest sends messages of `size` bytes, one at a time, `total` bytes in all; the host returns each
  };
  uint32_t kind = 0;
  uint32_t size = 0;
  uint64_t total = 0;
};

inline constexpr size_t kBlock = 64 * 1024;  // bytes that a program gives the kernel at once

// False when the stream has ended.
bool send_all(int fd, const void* bytes, size_t size);
bool receive_all(int fd, void* bytes, size_t size);

// The host's end of one stream: does jobs until it ends.
void serve(int fd);

// The guest's end. Opens streams with `open`, at most `max_streams` at a time, and prints lines "result NAME VALUE UNIT".
// `milliseconds`: how long a measurement lasts at least. `rows`: names with commas between them, as "up.1,down.4"; all when empty.
void measure(const std::function<int()>& open, int max_streams, double milliseconds, const std::string& rows = {});

}  // namespace adyton::bench
