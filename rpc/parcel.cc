#include "rpc/parcel.h"

#include <fcntl.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <concepts>
#include <cstring>
#include <iterator>
#include <map>
#include <utility>

#include "rpc/utf.h"

namespace adyton::rpc {

static_assert(std::endian::native == std::endian::little, "parcels are little endian");

namespace {

// RpcFields::ObjectType: what the int32 at an object's position says.
constexpr int32_t kNullBinder = 0;
constexpr int32_t kBinder = 1;
constexpr int32_t kFileDescriptor = 2;

// Exception codes that only say that a header which is to be skipped comes before the exception (binder/Status.h).
constexpr int32_t kHasNotedAppOpsHeader = -127;
constexpr int32_t kHasReplyHeader = -128;

constexpr size_t padded(size_t size) { return (size + 3) & ~size_t{3}; }

// Packed elements are written as they stand in memory; the others are widened to int32.
template <typename T>
constexpr bool kIsPacked = !std::same_as<T, bool> && !std::same_as<T, char16_t>;

}  // namespace

Parcel::Parcel(Parcel&& other) noexcept { *this = std::move(other); }

Parcel& Parcel::operator=(Parcel&& other) noexcept {
  bytes_ = std::exchange(other.bytes_, {});
  objects_ = std::exchange(other.objects_, {});
  fds_ = std::exchange(other.fds_, {});
  source_ = std::exchange(other.source_, {});
  cursor_ = std::exchange(other.cursor_, 0);
  return *this;
}

Reply<Parcel> Parcel::received(std::vector<uint8_t> bytes, std::vector<uint32_t> positions, std::vector<UniqueFd> fds,
                               std::shared_ptr<ObjectSource> source) {
  Parcel parcel;
  parcel.bytes_ = std::move(bytes);
  parcel.fds_ = std::move(fds);
  parcel.source_ = std::move(source);
  size_t least = 0;
  for (const uint32_t position : positions) {
    if (position % 4 != 0 || position < least) return fail(TransportError::kBadValue, "misplaced object in a parcel");
    if (!parcel.set_read_position(position).is_ok()) return fail(TransportError::kBadValue, "object past the end of a parcel");
    const auto type = parcel.read_int32();
    if (!type) return fail(TransportError::kBadValue, "object past the end of a parcel");
    switch (*type) {
      case kFileDescriptor: {
        const auto index = parcel.read_uint32();
        if (!index || *index >= parcel.fds_.size()) return fail(TransportError::kBadValue, "file descriptor that did not come");
        parcel.objects_.push_back({position, nullptr});
        break;
      }
      case kBinder:
        // Reading it makes it known.
        static_cast<void>(parcel.set_read_position(position));
        TRY(parcel.read_binder());
        break;
      default: return fail(TransportError::kBadValue, "unknown object in a parcel");
    }
    least = parcel.read_position();
  }
  parcel.cursor_ = 0;
  return parcel;
}

// --- Writing ---

template <typename T>
void Parcel::append(T value) {
  static_assert(sizeof(T) % 4 == 0);
  const size_t at = bytes_.size();
  bytes_.resize(at + sizeof(T));
  std::memcpy(bytes_.data() + at, &value, sizeof(T));
}

void Parcel::write_bool(bool value) { append<int32_t>(value); }
void Parcel::write_byte(int8_t value) { append<int32_t>(value); }
void Parcel::write_char(char16_t value) { append<int32_t>(value); }
void Parcel::write_int32(int32_t value) { append(value); }
void Parcel::write_uint32(uint32_t value) { append(value); }
void Parcel::write_int64(int64_t value) { append(value); }
void Parcel::write_uint64(uint64_t value) { append(value); }
void Parcel::write_float(float value) { append(value); }
void Parcel::write_double(double value) { append(value); }

Status Parcel::write_string(std::string_view utf8) {
  const auto text = utf16_from_utf8(utf8);
  if (!text) return Status::from_transport(TransportError::kBadValue, "a string is not UTF-8");
  write_string16(*text);
  return Status::ok();
}

Status Parcel::write_nullable_string(const std::optional<std::string>& utf8) {
  if (utf8) return write_string(std::string_view(*utf8));
  write_null_string();
  return Status::ok();
}

void Parcel::write_string16(std::u16string_view text) {
  append(static_cast<int32_t>(text.size()));
  const size_t at = bytes_.size();
  // The terminating NUL is not part of the length.
  bytes_.resize(at + padded((text.size() + 1) * sizeof(char16_t)));
  if (!text.empty()) std::memcpy(bytes_.data() + at, text.data(), text.size() * sizeof(char16_t));
}

void Parcel::write_binder(const std::shared_ptr<Binder>& binder) {
  if (!binder) {
    append(kNullBinder);
    append(kStabilityUndeclared);
    return;
  }
  objects_.push_back({static_cast<uint32_t>(bytes_.size()), binder});
  append(kBinder);
  append(uint64_t{0});  // its address in the session that sends it
  append(kStabilitySystem);
}

Status Parcel::write_fd(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) {
    const bool none = errno == EBADF;
    return Status::from_transport(none ? TransportError::kBadValue : TransportError::kNoMemory,
                                  none ? "not a file descriptor" : "cannot duplicate a file descriptor");
  }
  objects_.push_back({static_cast<uint32_t>(bytes_.size()), nullptr});
  append(kFileDescriptor);
  append(static_cast<int32_t>(fds_.size()));
  fds_.push_back(std::move(copy));
  return Status::ok();
}

Status Parcel::write_parcel_fd(const UniqueFd& fd) {
  append(int32_t{0});  // no second descriptor to tell the writer of errors (ParcelFileDescriptor.java)
  return write_fd(fd.get());
}

void Parcel::write_interface_token(std::string_view descriptor) { write_string16(utf16_from_utf8_lossy(descriptor)); }

Status Parcel::write_status(const Status& status) {
  if (status.exception() == Exception::kTransactionFailed) return status;
  append(static_cast<int32_t>(status.exception()));
  if (status.is_ok()) return Status::ok();
  write_string16(utf16_from_utf8_lossy(status.message()));
  append(int32_t{0});  // the size of a remote stack trace
  if (status.exception() == Exception::kServiceSpecific) append(status.service_specific_code());
  if (status.exception() == Exception::kParcelable) append(int32_t{0});  // the size of a parcelable, which libbinder never sends
  return Status::ok();
}

void Parcel::write_raw(std::span<const uint8_t> bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  bytes_.resize(padded(bytes_.size()));
}

template <typename T>
void Parcel::append_vector(std::span<const T> values) {
  append(static_cast<int32_t>(values.size()));
  if constexpr (kIsPacked<T>) {
    write_raw({reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()});
  } else {
    for (const T value : values) append<int32_t>(value);
  }
}

void Parcel::write_vector(std::span<const bool> values) { append_vector(values); }
void Parcel::write_vector(std::span<const int8_t> values) { append_vector(values); }
void Parcel::write_vector(std::span<const uint8_t> values) { append_vector(values); }
void Parcel::write_vector(std::span<const char16_t> values) { append_vector(values); }
void Parcel::write_vector(std::span<const int32_t> values) { append_vector(values); }
void Parcel::write_vector(std::span<const int64_t> values) { append_vector(values); }
void Parcel::write_vector(std::span<const uint64_t> values) { append_vector(values); }
void Parcel::write_vector(std::span<const float> values) { append_vector(values); }
void Parcel::write_vector(std::span<const double> values) { append_vector(values); }

Status Parcel::append_from(const Parcel& from, size_t start, size_t size) {
  if (start % 4 != 0 || start > from.bytes_.size() || size > from.bytes_.size() - start) {
    return Status::from_transport(TransportError::kBadValue);
  }
  const size_t at = bytes_.size();
  const std::vector<uint8_t> part(from.bytes_.begin() + static_cast<ptrdiff_t>(start),
                                  from.bytes_.begin() + static_cast<ptrdiff_t>(start + size));
  std::vector<Object> objects;
  std::vector<UniqueFd> fds;
  std::map<uint32_t, size_t> copies;               // of a descriptor of the other parcel: one, however often a peer has named it
  std::vector<std::pair<size_t, size_t>> numbers;  // where in this parcel a descriptor's number stands, and which of `fds` it is
  for (auto object = from.object_at(start); object != from.objects_.end() && object->position < start + size; ++object) {
    const size_t end = object->position + (object->binder ? 16 : 8);
    if (end > start + size) return Status::from_transport(TransportError::kBadValue, "a part of an object");
    objects.push_back({static_cast<uint32_t>(object->position - start + at), object->binder});
    if (object->binder) continue;
    uint32_t index;
    std::memcpy(&index, from.bytes_.data() + object->position + 4, sizeof(index));
    if (index >= from.fds_.size() || !from.fds_[index].valid()) return Status::from_transport(TransportError::kBadType);
    const auto [copy, is_new] = copies.emplace(index, fds.size());
    numbers.emplace_back(objects.back().position + 4, copy->second);
    if (!is_new) continue;
    fds.emplace_back(::fcntl(from.fds_[index].get(), F_DUPFD_CLOEXEC, 0));
    if (!fds.back().valid()) return Status::from_transport(TransportError::kNoMemory, "cannot duplicate a file descriptor");
  }
  write_raw(part);
  objects_.insert(objects_.end(), objects.begin(), objects.end());
  for (const auto& [position, number] : numbers) overwrite_int32(position, static_cast<int32_t>(fds_.size() + number));
  std::ranges::move(fds, std::back_inserter(fds_));
  return Status::ok();
}

void Parcel::overwrite_int32(size_t position, int32_t value) { std::memcpy(bytes_.data() + position, &value, sizeof(value)); }

// --- Reading ---

template <typename T>
Reply<T> Parcel::take() const {
  if (remaining() < sizeof(T)) return fail(TransportError::kNotEnoughData);
  T value;
  std::memcpy(&value, bytes_.data() + cursor_, sizeof(T));
  cursor_ += sizeof(T);
  return value;
}

// What libbinder's readers take for true, and what they drop, is the same here.
Reply<bool> Parcel::read_bool() const { return TRY(take<int32_t>()) != 0; }
Reply<int8_t> Parcel::read_byte() const { return static_cast<int8_t>(TRY(take<int32_t>())); }
Reply<char16_t> Parcel::read_char() const { return static_cast<char16_t>(TRY(take<int32_t>())); }
Reply<int32_t> Parcel::read_int32() const { return take<int32_t>(); }
Reply<uint32_t> Parcel::read_uint32() const { return take<uint32_t>(); }
Reply<int64_t> Parcel::read_int64() const { return take<int64_t>(); }
Reply<uint64_t> Parcel::read_uint64() const { return take<uint64_t>(); }
Reply<float> Parcel::read_float() const { return take<float>(); }
Reply<double> Parcel::read_double() const { return take<double>(); }

Reply<std::optional<std::u16string_view>> Parcel::take_string16() const {
  const int32_t length = TRY(take<int32_t>());
  if (length == -1) return std::nullopt;
  if (length < 0) return fail(TransportError::kBadValue, "negative length of a string");
  const auto raw = TRY(read_raw((size_t{static_cast<uint32_t>(length)} + 1) * sizeof(char16_t)));
  // Every value starts on a 4-byte boundary, so the characters are aligned.
  const std::u16string_view text(reinterpret_cast<const char16_t*>(raw.data()), static_cast<size_t>(length));
  if (text.data()[length] != u'\0') return fail(TransportError::kBadValue, "a string has no end");
  return text;
}

Reply<std::optional<std::string>> Parcel::read_nullable_string() const {
  const auto text = TRY(take_string16());
  if (!text) return std::nullopt;
  auto utf8 = utf8_from_utf16(*text);
  if (!utf8) return fail(TransportError::kBadValue, "a string is not UTF-16");
  return utf8;
}

Reply<std::string> Parcel::read_string() const {
  auto text = TRY(read_nullable_string());
  if (!text) return fail(TransportError::kUnexpectedNull);
  return std::move(*text);
}

Reply<std::u16string> Parcel::read_string16() const {
  const auto text = TRY(take_string16());
  if (!text) return fail(TransportError::kUnexpectedNull);
  return std::u16string(*text);
}

std::vector<Parcel::Object>::iterator Parcel::object_at(size_t position) const {
  return std::ranges::lower_bound(objects_, position, {}, &Object::position);
}

Reply<std::shared_ptr<Binder>> Parcel::read_nullable_binder() const {
  const size_t position = cursor_;
  const int32_t type = TRY(take<int32_t>());
  if (type == kNullBinder) {
    TRY(take<int32_t>());
    return nullptr;
  }
  if (type != kBinder) return fail(TransportError::kBadType);
  const uint64_t address = TRY(take<uint64_t>());
  const int32_t stability = TRY(take<int32_t>());
  if (stability != kStabilityVendor && stability != kStabilitySystem && stability != kStabilityVintf) {
    return fail(TransportError::kBadType, "unknown stability of a binder");
  }
  const auto known = object_at(position);
  if (known != objects_.end() && known->position == position && known->binder) return known->binder;
  if (!source_) return fail(TransportError::kBadType);
  auto binder = TRY(source_->binder_at(address));
  if (!binder) return fail(TransportError::kBadType);
  // The session counts what it hands out, and one that came once must be counted once, however often it is read.
  objects_.insert(known, {static_cast<uint32_t>(position), binder});
  return binder;
}

Reply<std::shared_ptr<Binder>> Parcel::read_binder() const {
  auto binder = TRY(read_nullable_binder());
  if (!binder) return fail(TransportError::kUnexpectedNull);
  return binder;
}

Reply<UniqueFd> Parcel::read_fd() const {
  const size_t position = cursor_;
  if (TRY(take<int32_t>()) != kFileDescriptor) return fail(TransportError::kBadType);
  const uint32_t index = TRY(take<uint32_t>());
  const auto known = object_at(position);
  if (known == objects_.end() || known->position != position || known->binder || index >= fds_.size() || !fds_[index].valid()) {
    return fail(TransportError::kBadType);
  }
  return std::move(fds_[index]);
}

Reply<UniqueFd> Parcel::read_parcel_fd() const {
  // With a second descriptor, for errors of the writer's, ParcelFileDescriptor cannot be read natively; AOSP says the same.
  if (TRY(take<int32_t>()) != 0) return fail(TransportError::kBadType, "a file descriptor with a channel beside it");
  return read_fd();
}

Status Parcel::check_interface_token(std::string_view descriptor) const {
  const auto token = take_string16();
  if (!token) return token.error();
  if (!*token || **token != utf16_from_utf8_lossy(descriptor)) {
    return Status::from_transport(TransportError::kBadType, "a call to another interface");
  }
  return Status::ok();
}

Status Parcel::skip_blob(size_t size) const {
  if (size > remaining()) return Status::from_transport(TransportError::kNotEnoughData);
  return set_read_position(cursor_ + size);
}

Reply<Status> Parcel::read_status() const {
  int32_t code = TRY(take<int32_t>());
  for (const int32_t header : {kHasNotedAppOpsHeader, kHasReplyHeader}) {
    if (code != header) continue;
    // Its size counts itself.
    const uint32_t size = TRY(take<uint32_t>());
    if (size < sizeof(size)) return fail(TransportError::kBadValue);
    if (Status skipped = skip_blob(size - sizeof(size)); !skipped.is_ok()) return std::unexpected(std::move(skipped));
    code = header == kHasReplyHeader ? 0 : TRY(take<int32_t>());
  }
  const Exception exception{code};
  if (exception == Exception::kNone) return Status::ok();
  // Java's exceptions may have no message. What is left of a garbled one is better than nothing.
  const auto text = TRY(take_string16());
  std::string message = text ? utf8_from_utf16_lossy(*text) : std::string();
  const uint32_t trace = TRY(take<uint32_t>());
  if (Status skipped = skip_blob(trace); !skipped.is_ok()) return std::unexpected(std::move(skipped));
  if (exception == Exception::kServiceSpecific) {
    return Status::from_service_specific(TRY(take<int32_t>()), std::move(message));
  }
  if (exception == Exception::kParcelable) {
    const uint32_t size = TRY(take<uint32_t>());
    if (Status skipped = skip_blob(size); !skipped.is_ok()) return std::unexpected(std::move(skipped));
  }
  return Status::from_exception(exception, std::move(message));
}

Reply<std::span<const uint8_t>> Parcel::read_raw(size_t size) const {
  if (size > remaining() || padded(size) > remaining()) return fail(TransportError::kNotEnoughData);
  const auto raw = bytes().subspan(cursor_, size);
  cursor_ += padded(size);
  return raw;
}

Reply<std::optional<uint32_t>> Parcel::read_count(size_t minimum_element_size) const {
  const int32_t count = TRY(take<int32_t>());
  if (count == -1) return std::nullopt;
  if (count < 0 || static_cast<size_t>(count) > remaining() / minimum_element_size) {
    return fail(TransportError::kBadValue, "more elements than the parcel holds");
  }
  return static_cast<uint32_t>(count);
}

template <typename T>
Reply<std::vector<T>> Parcel::read_vector() const {
  const auto count = TRY(read_count(kIsPacked<T> ? sizeof(T) : sizeof(int32_t)));
  if (!count) return fail(TransportError::kUnexpectedNull);
  if constexpr (kIsPacked<T>) {
    const auto raw = TRY(read_raw(*count * sizeof(T)));
    std::vector<T> values(*count);
    if (!raw.empty()) std::memcpy(values.data(), raw.data(), raw.size());
    return values;
  } else {
    std::vector<T> values;
    values.reserve(*count);
    for (uint32_t i = 0; i < *count; ++i) values.push_back(static_cast<T>(TRY(take<int32_t>())));
    return values;
  }
}

template Reply<std::vector<bool>> Parcel::read_vector() const;
template Reply<std::vector<int8_t>> Parcel::read_vector() const;
template Reply<std::vector<uint8_t>> Parcel::read_vector() const;
template Reply<std::vector<char16_t>> Parcel::read_vector() const;
template Reply<std::vector<int32_t>> Parcel::read_vector() const;
template Reply<std::vector<int64_t>> Parcel::read_vector() const;
template Reply<std::vector<uint64_t>> Parcel::read_vector() const;
template Reply<std::vector<float>> Parcel::read_vector() const;
template Reply<std::vector<double>> Parcel::read_vector() const;

Status Parcel::set_read_position(size_t position) const {
  if (position > bytes_.size() || position % 4 != 0) return Status::from_transport(TransportError::kBadValue);
  cursor_ = position;
  return Status::ok();
}

}  // namespace adyton::rpc
