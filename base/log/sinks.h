// Where the log goes, and how a program begins to keep one.
#pragma once
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/log/level.h"
#include "base/log/record.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace adyton::log {

// Threading: any. Never fails: what cannot be written is lost, and counted where that can be told.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void write(const Record& record) = 0;
};

enum class Format : uint8_t { kText, kJson };
// "text", "json"; kInvalidArgument otherwise.
Result<Format> parse_format(std::string_view text);

// A descriptor, mostly standard error: a line for each record. It belongs to the caller, and outlives the sink.
class StreamSink final : public Sink {
 public:
  enum class Patience : uint8_t {
    kNone,   // a pipe, socket or terminal that is full loses the line: a program that serves others must not wait for its reader
    kWaits,  // what the descriptor itself does
  };
  // A regular file that is ours: when it has grown to `limit` bytes it becomes PATH.1, and a new one takes its place, descriptor
  // number and all.
  struct Rotation {
    std::string path;
    uint64_t limit = 0;
  };

  StreamSink(int fd, Format format, Patience patience, std::optional<Rotation> rotation = std::nullopt);
  void write(const Record& record) override;

 private:
  bool put(std::string_view line);
  void rotate();

  const int fd_;
  const Format format_;
  const Patience patience_;
  const std::optional<Rotation> rotation_;
  std::mutex mutex_;  // who has found room gets it
  uint64_t lost_ = 0;
  uint64_t size_ = 0;
};

inline constexpr const char* kJournalSocket = "/run/systemd/journal/socket";

// journald's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): a datagram for each record, with its fields as fields
// (ADYTON_VM=demo). Never waits.
class JournalSink final : public Sink {
 public:
  // `identifier` is the program's name (SYSLOG_IDENTIFIER). Fails when there is no socket.
  static Result<std::unique_ptr<JournalSink>> open(std::string socket_path, std::string identifier);
  // What takes the records that the journal does not take. Before the first of them.
  void set_fallback(std::unique_ptr<Sink> fallback) { fallback_ = std::move(fallback); }
  void write(const Record& record) override;

 private:
  JournalSink(UniqueFd socket, std::string path, std::string identifier)
      : socket_(std::move(socket)), path_(std::move(path)), identifier_(std::move(identifier)) {}

  const UniqueFd socket_;
  const std::string path_;
  const std::string identifier_;
  std::unique_ptr<Sink> fallback_;
};

// Two places for each record.
class TeeSink final : public Sink {
 public:
  TeeSink(std::unique_ptr<Sink> first, std::unique_ptr<Sink> second) : first_(std::move(first)), second_(std::move(second)) {}
  void write(const Record& record) override {
    first_->write(record);
    second_->write(record);
  }

 private:
  const std::unique_ptr<Sink> first_, second_;
};

// Names the VM, as the field `vm`, of records that have no context.
class VmSink final : public Sink {
 public:
  VmSink(std::string vm, std::unique_ptr<Sink> sink) : vm_(std::move(vm)), sink_(std::move(sink)) {}
  void write(const Record& record) override;

 private:
  const std::string vm_;
  const Field context_{"vm", vm_};
  const std::unique_ptr<Sink> sink_;
};

// Whether `fd` is a stream to the journal: what `journal_stream`, the value of JOURNAL_STREAM (systemd.exec(5)), says it is.
[[nodiscard]] bool is_journal_stream(int fd, const char* journal_stream);

enum class Destination : uint8_t {
  kAuto,     // the journal, if that is where standard error goes; both, if that is a file that we keep and there is a journal
  kStderr,   // standard error, whatever that is
  kJournal,  // the journal
};
// "auto", "stderr", "journal"; kInvalidArgument otherwise.
Result<Destination> parse_destination(std::string_view text);

struct Options {
  Level level = Level::kInfo;
  Format format = Format::kText;  // of standard error
  Destination destination = Destination::kAuto;
  StreamSink::Patience patience = StreamSink::Patience::kNone;
  std::optional<StreamSink::Rotation> rotation;
  std::string identifier;
  std::string journal_socket = kJournalSocket;
  std::string vm;  // whose all that is written is, if its writer does not say otherwise; empty: nobody's
};

// What ADYTON_LOG (a level), ADYTON_LOG_FORMAT (a format) and ADYTON_LOG_VM (a VM's name) say; kInvalidArgument, naming the
// variable, when that is no such thing.
Result<void> read_environment(Options& options);

// The sink that the options ask for. Fails if the journal is asked for and is not there.
Result<std::unique_ptr<Sink>> make_sink(Options options);

// From here on the process keeps a log. Once, early in main(). Fails as make_sink().
Result<void> start(Options options);

namespace internals {
void deliver(const Record& record);
pid_t process();
// The sink that was there before; for tests.
Sink* exchange_sink(Sink* sink);
}  // namespace internals

}  // namespace adyton::log
