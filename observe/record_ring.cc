#include "observe/record_ring.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <new>

namespace adyton::observe {
namespace {

// The size cannot change, and that cannot change either.
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

bool is_capacity(uint64_t bytes) {
  return std::has_single_bit(bytes) && bytes >= RecordRing::kMinCapacity && bytes <= RecordRing::kMaxCapacity;
}

}  // namespace

Result<UniqueFd> RecordRing::make_memory(size_t capacity, size_t count) {
  if (!is_capacity(capacity) || count == 0 || count > kMaxCount) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("a ring of {} bytes cannot be: it has a power of two from {} to {} bytes", capacity, kMinCapacity,
                            kMaxCapacity));
  }
  UniqueFd memory(::memfd_create("adyton-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.valid()) return fail_errno("cannot create memory to share");
  // Pages that are there cannot be missing when somebody writes to them.
  if (const int error = ::posix_fallocate(memory.get(), 0, static_cast<off_t>(count * (kControlBytes + capacity))); error != 0)
    return fail_errno("cannot allocate memory to share", error);
  if (::fcntl(memory.get(), F_ADD_SEALS, kSeals) != 0) return fail_errno("cannot seal memory to share");
  for (size_t index = 0; index < count; ++index) {
    const RecordRing ring = TRY(map(memory.get(), index, count));
    new (ring.mapping_.data()) Control{.head = 0, .dropped = 0, .tail = 0, .wake_at = kNever};
  }
  return memory;
}

Result<RecordRing> RecordRing::map(int memory, size_t index, size_t count) {
  if (count == 0 || count > kMaxCount || index >= count) return fail(ErrorCode::kInvalidArgument, "there is no such ring");
  const int seals = ::fcntl(memory, F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) return fail(ErrorCode::kCorrupt, "a ring's memory has to be a sealed memfd");
  struct stat status {};
  if (::fstat(memory, &status) != 0) return fail_errno("cannot look at a ring's memory");
  const auto size = static_cast<uint64_t>(status.st_size);
  const uint64_t each = size / count;
  if (size % count != 0 || each <= kControlBytes || !is_capacity(each - kControlBytes))
    return fail(ErrorCode::kCorrupt, fmt::format("a ring's memory has an impossible size, {} bytes", size));
  const size_t capacity = each - kControlBytes;
  // One reservation, into which the pages are mapped: in front the indices and the data, and behind them the data again.
  auto mapping = TRY(Mapping::anonymous(kControlBytes + 2 * capacity));
  const auto start = static_cast<off_t>(index * each);
  const auto place = [&](uint8_t* where, size_t length, off_t offset) {
    return ::mmap(where, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE, memory, offset) != MAP_FAILED;
  };
  if (!place(mapping.data(), each, start) || !place(mapping.data() + each, capacity, start + off_t{kControlBytes}))
    return fail_errno("cannot map a ring's memory");
  return RecordRing(std::move(mapping), capacity);
}

uint8_t* RecordWriter::begin(uint32_t type, uint64_t time, size_t size) {
  const uint64_t sequence = sequence_++;
  const uint64_t bytes = RecordRing::stride(size);
  // The reader's index as it was last is enough as long as there is room.
  if (bytes > ring_.capacity_ - (head_ - tail_)) {
    const uint64_t tail = ring_.control().tail.load(std::memory_order_acquire);
    // One that is behind what it was before, or ahead of us, is not to be believed.
    if (tail >= tail_ && tail <= head_) tail_ = tail;
    if (bytes > ring_.capacity_ - (head_ - tail_)) {
      ring_.control().dropped.store(++dropped_, std::memory_order_relaxed);
      if (wake_ >= 0) {
        const uint64_t wanted = ring_.control().wake_at.load(std::memory_order_relaxed);
        if (wanted != RecordRing::kNever) wake_reader(wanted);
      }
      return nullptr;
    }
  }
  const RecordRing::Header header{.size = static_cast<uint32_t>(size), .type = type, .sequence = sequence, .time = time};
  uint8_t* place = ring_.at(head_);
  std::memcpy(place, &header, sizeof(header));
  pending_ = bytes;
  return place + sizeof(header);
}

void RecordWriter::commit() {
  head_ += pending_;
  pending_ = 0;
  if (wake_ < 0) {
    ring_.control().head.store(head_, std::memory_order_release);
    return;
  }
  // Against arm(), which does the same in the other order: one of the two sees the other's store.
  ring_.control().head.store(head_, std::memory_order_seq_cst);
  const uint64_t wanted = ring_.control().wake_at.load(std::memory_order_seq_cst);
  if (head_ >= wanted) wake_reader(wanted);
}

void RecordWriter::wake_reader(uint64_t wanted) {
  // Once per arm(). A reader that has armed again in the meantime looks at the head by itself.
  if (!ring_.control().wake_at.compare_exchange_strong(wanted, RecordRing::kNever)) return;
  uint8_t byte = 0;
  iovec part{.iov_base = &byte, .iov_len = 1};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  // A socket that is full of wakes wakes; one without a reader needs none.
  (void)::sendmsg(wake_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

bool RecordWriter::write(uint32_t type, uint64_t time, std::span<const uint8_t> bytes) {
  uint8_t* place = begin(type, time, bytes.size());
  if (place == nullptr) return false;
  if (!bytes.empty()) std::memcpy(place, bytes.data(), bytes.size());
  commit();
  return true;
}

Result<std::optional<Record>> RecordReader::corrupt(const char* what) {
  corrupt_ = true;
  return fail(ErrorCode::kCorrupt, fmt::format("what the virtual machine recorded cannot be read: {}", what));
}

void RecordReader::release() { ring_.control().tail.store(tail_, std::memory_order_release); }

Result<std::optional<Record>> RecordReader::next() {
  if (corrupt_) return corrupt("it was damaged before");
  release();
  if (head_ == tail_) {
    const uint64_t head = ring_.control().head.load(std::memory_order_acquire);
    if (head == tail_) return std::nullopt;
    // A head behind the tail counts as far too much, too.
    if (head - tail_ > ring_.capacity_ || head % 8 != 0) return corrupt("the writer's index is impossible");
    head_ = head;
  }
  const uint64_t available = head_ - tail_;
  if (available < sizeof(RecordRing::Header)) return corrupt("a record is cut short");
  // Read once, whatever the writer does meanwhile.
  uint64_t words[sizeof(RecordRing::Header) / sizeof(uint64_t)];
  for (size_t i = 0; i < std::size(words); ++i)
    words[i] = std::atomic_ref(*reinterpret_cast<uint64_t*>(ring_.at(tail_ + 8 * i))).load(std::memory_order_relaxed);
  RecordRing::Header header;
  std::memcpy(&header, words, sizeof(header));
  if (RecordRing::stride(header.size) > available) return corrupt("a record is longer than what was written");
  if (header.sequence < next_sequence_ || header.sequence == UINT64_MAX) return corrupt("records are out of order");
  const uint8_t* contents = ring_.at(tail_ + sizeof(header));
  const size_t copied = std::min<size_t>(header.size, copied_);
  copy_.assign(contents, contents + copied);
  const Record record{.type = header.type,
                      .sequence = header.sequence,
                      .time = header.time,
                      .lost = header.sequence - next_sequence_,
                      .bytes = copy_,
                      .rest = {contents + copied, header.size - copied}};
  lost_ += record.lost;
  next_sequence_ = header.sequence + 1;
  tail_ += RecordRing::stride(header.size);
  if (record.rest.empty()) release();
  return record;
}

bool RecordReader::arm(uint64_t bytes) {
  bytes = std::clamp<uint64_t>(bytes, 1, ring_.capacity_);
  ring_.control().wake_at.store(tail_ + bytes, std::memory_order_seq_cst);
  if (!corrupt_ && ring_.control().head.load(std::memory_order_seq_cst) - tail_ < bytes) return true;
  ring_.control().wake_at.store(RecordRing::kNever, std::memory_order_relaxed);
  return false;
}

uint64_t RecordReader::dropped() const { return std::max(lost_, ring_.control().dropped.load(std::memory_order_relaxed)); }

Result<WakePair> make_wake_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
    return fail_errno("cannot create a socket pair");
  return WakePair{.writer = UniqueFd(fds[0]), .reader = UniqueFd(fds[1])};
}

bool drain_wakes(int reader) {
  uint8_t bytes[256];
  // A writer that never stops sending them is not listened to for ever.
  for (int i = 0; i < 16; ++i) {
    const ssize_t n = ::recv(reader, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n > 0) continue;
    if (n < 0 && errno == EINTR) continue;
    return n < 0 && errno == EAGAIN;
  }
  return true;
}

}  // namespace adyton::observe
