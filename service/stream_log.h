// The serial console of a VM, or its log: what comes from the guest is kept in a ring, from which any number of readers take it,
// each at its own pace and from whatever time on. A reader that is slow loses bytes; the guest never waits for one.
//
// Threading: the event loop's.
#pragma once
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "service/byte_ring.h"
#include "service/event_loop.h"

namespace adyton::service {

class StreamLog {
 public:
  static constexpr size_t kCapacity = size_t{1} << 20;
  static constexpr size_t kMaxReaders = 16;

  explicit StreamLog(EventLoop& loop, size_t capacity = kCapacity) : loop_(loop), ring_(capacity) {}
  StreamLog(const StreamLog&) = delete;
  StreamLog& operator=(const StreamLog&) = delete;
  ~StreamLog();

  // Bytes from `stream` (a socket) are the log's. With `input`, what readers and add_input() send goes the other way.
  Result<void> add_source(UniqueFd stream, bool input);

  // Is told on the loop whenever a source has come to its end; not by finish().
  void on_source_end(std::function<void()> function) { source_ended_ = std::move(function); }

  // Adds words of the service's own.
  void add(std::string_view text);

  // Is shown on the loop what comes from the guest.
  void on_bytes(std::function<void(std::span<const uint8_t>)> function) { listener_ = std::move(function); }

  // Takes what the sources have left and forgets them: the guest is gone. Readers get what they have not read, and then the end.
  void finish();

  // A connected socket for a reader. kExhausted: there are kMaxReaders.
  Result<UniqueFd> open(bool with_history);

  // Copies to a descriptor of a client: a pipe, socket, terminal or regular file. Never blocks on it, and leaves its flags alone.
  Result<void> add_output(UniqueFd fd);
  // Takes input from a descriptor of a client.
  Result<void> add_input(UniqueFd fd);

  [[nodiscard]] std::string tail(size_t size) const { return ring_.tail(size); }
  // Every source has come to its end.
  [[nodiscard]] bool ended() const { return sources_.empty(); }

 private:
  struct Source {
    UniqueFd fd;
    Watch watch;
    bool input = false;
  };
  // How a reader's descriptor is written to without blocking.
  enum class Kind : uint8_t { kSocket, kNonBlocking, kFile };
  struct Reader {
    UniqueFd fd;
    Kind kind = Kind::kSocket;
    uint64_t position = 0;
    bool gives_input = false;
    Watch watch;  // none: it is always ready
  };
  struct Input {
    UniqueFd fd;
    Watch watch;
  };

  void on_source(Source& source, uint32_t events);
  bool take(Source& source);
  void on_reader(Reader& reader, uint32_t events);
  Result<void> watch_input(Input& input);
  void on_input(Input& input);
  void pump();
  bool pump(Reader& reader);
  [[nodiscard]] uint32_t events_for(const Reader& reader) const;
  void type(std::span<const uint8_t> bytes);
  void flush_input();
  void watch_for_input();
  void drop(Reader& reader);
  void drop(Input& input);
  [[nodiscard]] Source* input_source();
  [[nodiscard]] bool takes_input() const { return pending_input_.empty(); }

  EventLoop& loop_;
  ByteRing ring_;
  bool finished_ = false;
  std::function<void()> source_ended_;
  std::function<void(std::span<const uint8_t>)> listener_;
  std::list<Source> sources_;
  std::list<Reader> readers_;
  std::list<Input> inputs_;
  std::vector<uint8_t> pending_input_;  // at most one read's worth: nothing more is read while the guest does not take it
};

}  // namespace adyton::service
