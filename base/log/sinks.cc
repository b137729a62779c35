#include "base/log/sinks.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/log/journal.h"
#include "base/log/line.h"
#include "base/log/logger.h"

namespace adyton::log {
namespace {

std::atomic<Sink*> current_sink = nullptr;
std::atomic<pid_t> current_process = 0;

template <typename T>
Result<T> choose(std::string_view text, std::initializer_list<std::pair<std::string_view, T>> choices, const char* what) {
  std::string known;
  for (const auto& [name, value] : choices) {
    if (text == name) return value;
    known += (known.empty() ? "" : ", ") + std::string(name);
  }
  return fail(ErrorCode::kInvalidArgument, "'" + std::string(text) + "' is no " + what + "; there are " + known);
}

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return fail(ErrorCode::kInvalidArgument, "the socket's path is too long: " + path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

}  // namespace

namespace internals {

std::atomic<Level> threshold = Level::kOff;

void deliver(const Record& record) {
  if (Sink* sink = current_sink.load(std::memory_order_acquire)) sink->write(record);
}

pid_t process() { return current_process.load(std::memory_order_relaxed); }

Sink* exchange_sink(Sink* sink) {
  current_process = ::getpid();
  return current_sink.exchange(sink, std::memory_order_acq_rel);
}

}  // namespace internals

Result<Format> parse_format(std::string_view text) {
  return choose<Format>(text, {{"text", Format::kText}, {"json", Format::kJson}}, "log format");
}

Result<Destination> parse_destination(std::string_view text) {
  return choose<Destination>(text,
                             {{"auto", Destination::kAuto}, {"stderr", Destination::kStderr}, {"journal", Destination::kJournal}},
                             "place for a log");
}

// ---- a descriptor --------------------------------------------------------------------------------------------------------

StreamSink::StreamSink(int fd, Format format, Patience patience, std::optional<Rotation> rotation)
    : fd_(fd), format_(format), patience_(patience), rotation_(std::move(rotation)) {
  struct stat status {};
  if (rotation_ && ::fstat(fd_, &status) == 0) size_ = static_cast<uint64_t>(status.st_size);
}

void StreamSink::write(const Record& record) {
  Line line;
  const auto make = [&](const Record& what) {
    line.clear();
    format_ == Format::kJson ? write_json(line, what) : write_text(line, what);
    // Both leave room for it.
    line.append("\n");
    return line.text();
  };
  const std::lock_guard lock(mutex_);
  if (lost_ > 0) {
    const Field field("lost", lost_);
    Record loss = record;
    loss.level = Level::kWarning;
    loss.component = "log";
    loss.context = {};
    loss.fields = {&field, 1};
    loss.message = "lines were lost, as nobody read them";
    if (!put(make(loss))) {
      ++lost_;
      return;
    }
    lost_ = 0;
  }
  if (!put(make(record))) ++lost_;
}

bool StreamSink::put(std::string_view line) {
  if (patience_ == Patience::kNone) {
    pollfd writable{.fd = fd_, .events = POLLOUT, .revents = 0};
    if (::poll(&writable, 1, 0) != 1 || (writable.revents & POLLOUT) == 0) return false;
  }
  const size_t all = line.size();
  while (!line.empty()) {
    const ssize_t done = ::write(fd_, line.data(), line.size());
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    line.remove_prefix(static_cast<size_t>(done));
  }
  if (rotation_ && (size_ += all) >= rotation_->limit) rotate();
  return true;
}

void StreamSink::rotate() {
  size_ = 0;  // another attempt, if this one fails, is due when as much has come again
  if (::rename(rotation_->path.c_str(), (rotation_->path + ".1").c_str()) != 0) return;
  const UniqueFd next(::open(rotation_->path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (next.valid()) ::dup2(next.get(), fd_);
}

// ---- the journal ---------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<JournalSink>> JournalSink::open(std::string socket_path, std::string identifier) {
  (void)TRY(address_of(socket_path));
  struct stat status {};
  if (::stat(socket_path.c_str(), &status) != 0) return fail_errno("cannot write to the journal at " + socket_path);
  if (!S_ISSOCK(status.st_mode))
    return fail(ErrorCode::kInvalidArgument, "cannot write to the journal: " + socket_path + " is no socket");
  UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return fail_errno("cannot write to the journal");
  return std::unique_ptr<JournalSink>(new JournalSink(std::move(socket), std::move(socket_path), std::move(identifier)));
}

void JournalSink::write(const Record& record) {
  JournalEntry entry;
  write_journal(entry, record, identifier_);
  // By name each time: the journal may have been started anew.
  const auto address = address_of(path_);
  const ssize_t sent = ::sendto(socket_.get(), entry.text().data(), entry.text().size(), MSG_NOSIGNAL,
                                reinterpret_cast<const sockaddr*>(&*address), sizeof(*address));
  if (sent < 0 && fallback_) fallback_->write(record);
}

bool is_journal_stream(int fd, const char* journal_stream) {
  if (journal_stream == nullptr) return false;
  const std::string_view text = journal_stream;
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return false;
  const auto parse = [](std::string_view digits) -> std::optional<uint64_t> {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    return value;
  };
  struct stat status {};
  if (::fstat(fd, &status) != 0) return false;
  return parse(text.substr(0, colon)) == status.st_dev && parse(text.substr(colon + 1)) == status.st_ino;
}

// ---- the process's log ---------------------------------------------------------------------------------------------------

void VmSink::write(const Record& record) {
  Record whole = record;
  if (whole.context.empty()) whole.context = std::span(&context_, 1);
  sink_->write(whole);
}

Result<void> read_environment(Options& options) {
  if (const char* text = std::getenv("ADYTON_LOG"); text != nullptr && *text != '\0') {
    const auto level = parse_level(text);
    if (!level) return fail(level.error().code, "ADYTON_LOG: " + level.error().message);
    options.level = *level;
  }
  if (const char* text = std::getenv("ADYTON_LOG_FORMAT"); text != nullptr && *text != '\0') {
    const auto format = parse_format(text);
    if (!format) return fail(format.error().code, "ADYTON_LOG_FORMAT: " + format.error().message);
    options.format = *format;
  }
  if (const char* text = std::getenv("ADYTON_LOG_VM"); text != nullptr) options.vm = text;
  return {};
}

Result<std::unique_ptr<Sink>> make_sink(Options options) {
  const bool automatic = options.destination == Destination::kAuto;
  const bool stream = automatic && is_journal_stream(STDERR_FILENO, std::getenv("JOURNAL_STREAM"));
  // A file of ours: whoever looks after the machine looks into the journal, and whoever started us reads from the file why we
  // did not come up.
  const bool both = automatic && !stream && options.rotation.has_value();
  std::unique_ptr<Sink> lines =
      std::make_unique<StreamSink>(STDERR_FILENO, options.format, options.patience, std::move(options.rotation));
  if (options.destination == Destination::kStderr || (automatic && !stream && !both)) return lines;
  auto journal = JournalSink::open(options.journal_socket, options.identifier);
  if (!journal) {
    if (automatic) return lines;
    return std::unexpected(std::move(journal).error());
  }
  if (both) return std::make_unique<TeeSink>(std::move(*journal), std::move(lines));
  // Standard error still leads there, line by line.
  (*journal)->set_fallback(std::move(lines));
  return std::move(*journal);
}

Result<void> start(Options options) {
  const Level level = options.level;
  std::string vm = options.vm;
  auto sink = TRY(make_sink(std::move(options)));
  if (!vm.empty()) sink = std::make_unique<VmSink>(std::move(vm), std::move(sink));
  // For the rest of the process: threads may log until the last moment.
  (void)internals::exchange_sink(sink.release());
  internals::threshold = level;
  return {};
}

}  // namespace adyton::log
