#include "guest/exec_protocol.h"

#include <cstring>
#include <type_traits>

namespace adyton::guest {
namespace {

enum class Type : uint16_t {
  kHello = 1,
  kStarted = 2,
  kExited = 3,
  kExecFailed = 4,
  kExecRequest = 16,
  kSignal = 17,
  kWindowSize = 18,
  kKill = 19,
  kSetClock = 20,
  kEnd = 21,
};

// Writer and Reader take the same calls, so that each message lists its fields once (the fields() functions below).
class Writer {
 public:
  template <typename T>
    requires std::is_unsigned_v<T>
  void integer(const T& value) {
    for (size_t i = 0; i < sizeof(T); ++i) bytes_.push_back(static_cast<char>(static_cast<uint64_t>(value) >> (8 * i)));
  }
  void boolean(const bool& value) { bytes_.push_back(value ? '\1' : '\0'); }
  void string(const std::string& value) {
    integer(static_cast<uint32_t>(value.size()));
    bytes_ += value;
    too_big_ |= value.size() > kMaxBodySize;
  }
  template <typename T, typename Element>
  void list(const std::vector<T>& values, Element element) {
    integer(static_cast<uint32_t>(values.size()));
    too_big_ |= values.size() > kMaxListLength;
    for (const T& value : values) element(*this, value);
  }
  template <typename T>
  void enumeration(const T& value, T) {
    integer(static_cast<std::underlying_type_t<T>>(value));
  }

  [[nodiscard]] bool fits() const { return !too_big_ && bytes_.size() <= kMaxBodySize; }
  std::vector<uint8_t> finish(Type type) {
    std::string body = std::move(bytes_);
    bytes_.clear();
    integer(static_cast<uint32_t>(body.size()));
    integer(static_cast<uint16_t>(type));
    integer(uint16_t{0});
    bytes_ += body;
    return {bytes_.begin(), bytes_.end()};
  }

 private:
  std::string bytes_;
  bool too_big_ = false;
};

class Reader {
 public:
  explicit Reader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  template <typename T>
    requires std::is_unsigned_v<T>
  void integer(T& value) {
    value = 0;
    if (!take(sizeof(T))) return;
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof(T); ++i) sum |= static_cast<uint64_t>(bytes_[position_ + i]) << (8 * i);
    value = static_cast<T>(sum);
    position_ += sizeof(T);
  }
  void boolean(bool& value) {
    uint8_t byte = 0;
    integer(byte);
    if (byte > 1) ok_ = false;
    value = byte == 1;
  }
  void string(std::string& value) {
    uint32_t size = 0;
    integer(size);
    if (!take(size)) return;
    value.assign(reinterpret_cast<const char*>(bytes_.data()) + position_, size);
    position_ += size;
  }
  template <typename T, typename Element>
  void list(std::vector<T>& values, Element element) {
    uint32_t count = 0;
    integer(count);
    // Each element takes at least the four bytes of a string's length, so a count that lies costs no memory.
    if (count > kMaxListLength || count > (bytes_.size() - position_) / 4) ok_ = false;
    for (uint32_t i = 0; ok_ && i < count; ++i) element(*this, values.emplace_back());
  }
  template <typename T>
  void enumeration(T& value, T last) {
    std::underlying_type_t<T> number = 0;
    integer(number);
    if (number > static_cast<std::underlying_type_t<T>>(last)) {
      ok_ = false;
      return;
    }
    value = static_cast<T>(number);
  }

  [[nodiscard]] bool whole() const { return ok_ && position_ == bytes_.size(); }

 private:
  bool take(size_t size) {
    if (!ok_ || bytes_.size() - position_ < size) ok_ = false;
    return ok_;
  }

  std::span<const uint8_t> bytes_;
  size_t position_ = 0;
  bool ok_ = true;
};

constexpr auto kString = [](auto& io, auto& value) { io.string(value); };

template <typename T, typename M>
concept Is = std::is_same_v<std::remove_const_t<T>, M>;

void fields(auto& io, Is<Hello> auto& m) {
  io.integer(m.version);
  io.integer(m.init_started_ns);
  io.integer(m.connected_ns);
  io.string(m.kernel_release);
  io.integer(m.stream_port);
}
void fields(auto& io, Is<Started> auto& m) { io.integer(m.pid); }
void fields(auto& io, Is<Exited> auto& m) {
  io.boolean(m.signalled);
  io.integer(m.value);
  io.boolean(m.core_dumped);
}
void fields(auto& io, Is<ExecFailed> auto& m) {
  io.integer(m.error_number);
  io.integer(m.exit_code);
  io.string(m.message);
}
void fields(auto& io, Is<Mount> auto& m) {
  io.string(m.serial);
  io.string(m.target);
  io.boolean(m.read_only);
}
void fields(auto& io, Is<ExecRequest> auto& m) {
  io.string(m.program);
  io.list(m.argv, kString);
  io.list(m.env, kString);
  io.string(m.workdir);
  io.string(m.hostname);
  io.integer(m.uid);
  io.integer(m.gid);
  io.boolean(m.terminal);
  io.integer(m.rows);
  io.integer(m.columns);
  io.enumeration(m.root, RootMode::kDisk);
  io.string(m.root_serial);
  io.list(m.mounts, [](auto& inner, auto& mount) { fields(inner, mount); });
  io.integer(m.wall_clock_ns);
  io.enumeration(m.operation, Operation::kReceiveTree);
}
void fields(auto& io, Is<Signal> auto& m) { io.integer(m.number); }
void fields(auto& io, Is<WindowSize> auto& m) {
  io.integer(m.rows);
  io.integer(m.columns);
}
void fields(auto&, Is<Kill> auto&) {}
void fields(auto& io, Is<SetClock> auto& m) { io.integer(m.wall_clock_ns); }
void fields(auto& io, Is<End> auto& m) { io.integer(m.grace_ms); }

Type type_of(const Hello&) { return Type::kHello; }
Type type_of(const Started&) { return Type::kStarted; }
Type type_of(const Exited&) { return Type::kExited; }
Type type_of(const ExecFailed&) { return Type::kExecFailed; }
Type type_of(const ExecRequest&) { return Type::kExecRequest; }
Type type_of(const Signal&) { return Type::kSignal; }
Type type_of(const WindowSize&) { return Type::kWindowSize; }
Type type_of(const Kill&) { return Type::kKill; }
Type type_of(const SetClock&) { return Type::kSetClock; }
Type type_of(const End&) { return Type::kEnd; }

// What the wire can say but no honest peer does. The reader of an exit status or of a path need not look again.
bool contains_nul(const std::string& text) { return text.find('\0') != std::string::npos; }
bool sane(const auto&) { return true; }
bool sane(const Exited& m) { return m.signalled ? m.value >= 1 && m.value <= 64 : m.value <= 255; }
bool sane(const ExecFailed& m) {
  return m.exit_code >= static_cast<uint32_t>(kExitError) && m.exit_code <= static_cast<uint32_t>(kExitNotFound);
}
bool sane(const Signal& m) { return m.number >= 1 && m.number <= 64; }
bool sane(const ExecRequest& m) {
  for (const auto& list : {&m.argv, &m.env}) {
    for (const std::string& text : *list) {
      if (contains_nul(text)) return false;
    }
  }
  for (const Mount& mount : m.mounts) {
    if (contains_nul(mount.serial) || contains_nul(mount.target) || !mount.target.starts_with('/')) return false;
  }
  if (m.operation == Operation::kSendTree && m.argv.size() != 2) return false;
  if (m.operation == Operation::kReceiveTree && m.argv.size() != 3) return false;
  return !m.program.empty() && !m.argv.empty() && !contains_nul(m.program) && !contains_nul(m.workdir) && !contains_nul(m.hostname) &&
         !contains_nul(m.root_serial);
}

template <typename M>
Result<Message> decode_as(std::span<const uint8_t> body) {
  M message;
  Reader reader(body);
  fields(reader, message);
  if (!reader.whole() || !sane(message)) return fail(ErrorCode::kCorrupt, "the peer sent a malformed control message");
  return message;
}

uint32_t load_le(std::span<const uint8_t> bytes, size_t offset, size_t size) {
  uint32_t value = 0;
  for (size_t i = 0; i < size; ++i) value |= static_cast<uint32_t>(bytes[offset + i]) << (8 * i);
  return value;
}

}  // namespace

Result<std::vector<uint8_t>> encode(const Message& message) {
  return std::visit(
      [](const auto& m) -> Result<std::vector<uint8_t>> {
        if (!sane(m)) return fail(ErrorCode::kInvalidArgument, "a control message with values that have no meaning");
        Writer writer;
        fields(writer, m);
        if (!writer.fits()) return fail(ErrorCode::kInvalidArgument, "the arguments and the environment are too large for one request");
        return writer.finish(type_of(m));
      },
      message);
}

Result<Message> decode_body(uint16_t type, std::span<const uint8_t> body) {
  switch (static_cast<Type>(type)) {
    case Type::kHello: return decode_as<Hello>(body);
    case Type::kStarted: return decode_as<Started>(body);
    case Type::kExited: return decode_as<Exited>(body);
    case Type::kExecFailed: return decode_as<ExecFailed>(body);
    case Type::kExecRequest: return decode_as<ExecRequest>(body);
    case Type::kSignal: return decode_as<Signal>(body);
    case Type::kWindowSize: return decode_as<WindowSize>(body);
    case Type::kKill: return decode_as<Kill>(body);
    case Type::kSetClock: return decode_as<SetClock>(body);
    case Type::kEnd: return decode_as<End>(body);
  }
  return fail(ErrorCode::kCorrupt, "the peer sent a control message of an unknown type");
}

void MessageReader::append(std::span<const uint8_t> bytes) {
  if (corrupt_) return;
  if (consumed_ == buffer_.size()) {
    buffer_.clear();
    consumed_ = 0;
  }
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

Result<std::optional<Message>> MessageReader::next() {
  const auto reject = [this](std::string why) {
    corrupt_ = true;
    buffer_.clear();
    consumed_ = 0;
    return fail(ErrorCode::kCorrupt, std::move(why));
  };
  if (corrupt_) return reject("the control connection is no longer in step");
  const std::span<const uint8_t> rest = std::span<const uint8_t>(buffer_).subspan(consumed_);
  if (rest.size() < kFrameHeaderSize) return std::nullopt;
  const size_t size = load_le(rest, 0, 4);
  if (size > kMaxBodySize || load_le(rest, 6, 2) != 0) return reject("the peer sent a malformed control frame");
  if (rest.size() - kFrameHeaderSize < size) return std::nullopt;
  auto message = decode_body(static_cast<uint16_t>(load_le(rest, 4, 2)), rest.subspan(kFrameHeaderSize, size));
  if (!message) return reject(std::move(message).error().message);
  consumed_ += kFrameHeaderSize + size;
  // Keeps what is held proportional to what is unread.
  if (consumed_ >= buffer_.size() / 2) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(consumed_));
    consumed_ = 0;
  }
  return std::move(*message);
}

}  // namespace adyton::guest
