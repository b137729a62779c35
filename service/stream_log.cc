#include "service/stream_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

namespace adyton::service {
namespace {

constexpr size_t kReadSize = 16384;
constexpr size_t kInputSize = 4096;
constexpr size_t kPipeSize = 4096;  // PIPE_BUF: a pipe that polls as writable takes so much at once

bool would_block(ssize_t got) { return got < 0 && (errno == EAGAIN || errno == EINTR); }

// Another open file description of the same file, so that O_NONBLOCK is ours alone.
Result<UniqueFd> reopen(int fd, int flags) {
  UniqueFd own(::open(fmt::format("/proc/self/fd/{}", fd).c_str(), flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!own.valid()) return fail_errno("cannot use the descriptor given for the console");
  return own;
}

}  // namespace

StreamLog::~StreamLog() = default;

// ---- from the guest ------------------------------------------------------------------------------------------------------

Result<void> StreamLog::add_source(UniqueFd stream, bool input) {
  Source& source = sources_.emplace_back();
  source.fd = std::move(stream);
  source.input = input;
  auto watch = loop_.watch(source.fd.get(), EPOLLIN, [this, &source](uint32_t events) { on_source(source, events); });
  if (!watch) {
    sources_.pop_back();
    return std::unexpected(std::move(watch).error());
  }
  source.watch = Watch(loop_, *watch);
  return {};
}

void StreamLog::on_source(Source& source, uint32_t events) {
  if ((events & EPOLLOUT) != 0) flush_input();
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
  const bool more = take(source);
  if (!more) std::erase_if(sources_, [&](const Source& s) { return &s == &source; });
  pump();
  // Last: it may be the end of us.
  const auto ended = source_ended_;
  if (!more && ended) ended();
}

// False at the end.
bool StreamLog::take(Source& source) {
  uint8_t buffer[kReadSize];
  const ssize_t got = ::recv(source.fd.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
  if (would_block(got)) return true;
  if (got <= 0) return false;
  const std::span<const uint8_t> bytes(buffer, static_cast<size_t>(got));
  ring_.append(bytes);
  if (listener_) listener_(bytes);
  return true;
}

void StreamLog::add(std::string_view text) {
  if (finished_) return;
  ring_.append({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  pump();
}

void StreamLog::finish() {
  if (finished_) return;
  for (Source& source : sources_) {
    // A source ends by itself when the VM's process is gone; more than the ring holds needs no reading.
    for (uint64_t start = ring_.end(); ring_.end() - start < kCapacity;) {
      const uint64_t before = ring_.end();
      if (!take(source) || ring_.end() == before) break;
    }
  }
  sources_.clear();
  inputs_.clear();
  pending_input_.clear();
  finished_ = true;
  pump();
}

// ---- to readers ----------------------------------------------------------------------------------------------------------

Result<UniqueFd> StreamLog::open(bool with_history) {
  if (readers_.size() >= kMaxReaders)
    return fail(ErrorCode::kExhausted, fmt::format("the console has {} readers already, which is the limit", kMaxReaders));
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("cannot make a socket for the console");
  UniqueFd theirs(ends[1]);
  Reader& reader = readers_.emplace_back();
  reader.fd.reset(ends[0]);
  reader.position = with_history ? ring_.begin() : ring_.end();
  reader.gives_input = true;
  auto watch = loop_.watch(reader.fd.get(), events_for(reader), [this, &reader](uint32_t events) { on_reader(reader, events); });
  if (!watch) {
    readers_.pop_back();
    return std::unexpected(std::move(watch).error());
  }
  reader.watch = Watch(loop_, *watch);
  if (!pump(reader)) drop(reader);
  return theirs;
}

Result<void> StreamLog::add_output(UniqueFd fd) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return fail_errno("cannot use the descriptor given for the console");
  Reader reader;
  if (S_ISSOCK(status.st_mode)) {
    reader.fd = std::move(fd);
  } else if (S_ISREG(status.st_mode)) {
    reader.kind = Kind::kFile;
    reader.fd = std::move(fd);
  } else {
    reader.kind = Kind::kNonBlocking;
    reader.fd = TRY(reopen(fd.get(), O_WRONLY));
  }
  reader.position = ring_.end();
  Reader& kept = readers_.emplace_back(std::move(reader));
  if (kept.kind == Kind::kFile) return {};
  auto watch = loop_.watch(kept.fd.get(), 0, [this, &kept](uint32_t events) { on_reader(kept, events); });
  if (watch) {
    kept.watch = Watch(loop_, *watch);
  } else if (watch.error().code != ErrorCode::kUnsupported) {
    readers_.pop_back();
    return std::unexpected(std::move(watch).error());
  }
  return {};
}

uint32_t StreamLog::events_for(const Reader& reader) const {
  uint32_t events = reader.position < ring_.end() ? uint32_t{EPOLLOUT} : 0;
  if (reader.gives_input && takes_input()) events |= EPOLLIN;
  return events;
}

void StreamLog::on_reader(Reader& reader, uint32_t events) {
  ssize_t got = 0;
  if ((events & EPOLLIN) != 0) {
    uint8_t buffer[kInputSize];
    got = ::recv(reader.fd.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
    if (got > 0) type({buffer, static_cast<size_t>(got)});
    if (got == 0) reader.gives_input = false;
  }
  // The other end is closed, and what it had sent is read. (After a mere shutdown(SHUT_WR) it still listens.)
  if ((events & (EPOLLHUP | EPOLLERR)) != 0 && got <= 0) return drop(reader);
  if (!pump(reader)) drop(reader);
}

void StreamLog::pump() {
  for (auto reader = readers_.begin(); reader != readers_.end();) {
    Reader& current = *reader++;
    if (!pump(current)) drop(current);
  }
}

// False when the reader is of no more use: it is gone, or has got all there will be.
bool StreamLog::pump(Reader& reader) {
  reader.position = std::max(reader.position, ring_.begin());
  while (reader.position < ring_.end()) {
    auto piece = ring_.piece_at(reader.position);
    ssize_t put = -1;
    if (reader.kind == Kind::kSocket) {
      put = ::send(reader.fd.get(), piece.data(), piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    } else {
      put = ::write(reader.fd.get(), piece.data(), std::min(piece.size(), kPipeSize));
    }
    if (would_block(put)) break;
    if (put <= 0) return false;
    reader.position += static_cast<uint64_t>(put);
  }
  if (finished_ && reader.position == ring_.end()) return false;
  reader.watch.change(events_for(reader));
  return true;
}

void StreamLog::drop(Reader& reader) {
  std::erase_if(readers_, [&](const Reader& r) { return &r == &reader; });
}

// ---- input ---------------------------------------------------------------------------------------------------------------

Result<void> StreamLog::add_input(UniqueFd fd) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return fail_errno("cannot use the descriptor given for the console's input");
  Input& input = inputs_.emplace_back();
  if (S_ISSOCK(status.st_mode)) {
    input.fd = std::move(fd);
  } else {
    auto own = reopen(fd.get(), O_RDONLY);
    if (!own) {
      inputs_.pop_back();
      return std::unexpected(std::move(own).error());
    }
    input.fd = std::move(*own);
  }
  if (auto watched = watch_input(input); !watched) {
    inputs_.pop_back();
    if (watched.error().code != ErrorCode::kUnsupported) return watched;
    return fail(ErrorCode::kUnsupported, "the console's input must be a pipe, a socket or a terminal, not a file");
  }
  return {};
}

// Only while there is room: a pipe whose other end is closed is ready even if nothing is asked of it.
Result<void> StreamLog::watch_input(Input& input) {
  if (!takes_input()) {
    input.watch.reset();
  } else if (!input.watch.active()) {
    input.watch = Watch(loop_, TRY(loop_.watch(input.fd.get(), EPOLLIN, [this, &input](uint32_t) { on_input(input); })));
  }
  return {};
}

void StreamLog::on_input(Input& input) {
  uint8_t buffer[kInputSize];
  const ssize_t got = ::read(input.fd.get(), buffer, sizeof(buffer));
  if (got > 0) return type({buffer, static_cast<size_t>(got)});
  if (!would_block(got)) drop(input);
}

void StreamLog::drop(Input& input) {
  std::erase_if(inputs_, [&](const Input& i) { return &i == &input; });
}

StreamLog::Source* StreamLog::input_source() {
  const auto found = std::find_if(sources_.begin(), sources_.end(), [](const Source& source) { return source.input; });
  return found == sources_.end() ? nullptr : &*found;
}

void StreamLog::type(std::span<const uint8_t> bytes) {
  if (input_source() == nullptr) return;
  pending_input_.insert(pending_input_.end(), bytes.begin(), bytes.end());
  flush_input();
}

void StreamLog::flush_input() {
  Source* source = input_source();
  if (source == nullptr || pending_input_.empty()) return;
  const ssize_t put = ::send(source->fd.get(), pending_input_.data(), pending_input_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (put > 0) {
    pending_input_.erase(pending_input_.begin(), pending_input_.begin() + put);
  } else if (!would_block(put)) {
    pending_input_.clear();
  }
  source->watch.change(pending_input_.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT);
  watch_for_input();
}

void StreamLog::watch_for_input() {
  for (Reader& reader : readers_) reader.watch.change(events_for(reader));
  for (Input& input : inputs_) (void)watch_input(input);
}

}  // namespace adyton::service
