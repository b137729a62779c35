#include "rpc/ndk/aparcel.h"

#include <climits>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>

#include "rpc/ndk/aibinder.h"
#include "rpc/ndk/astatus.h"

using adyton::UniqueFd;
using adyton::rpc::Parcel;
using adyton::rpc::Reply;
using adyton::rpc::Status;

namespace {

constexpr int32_t kNull = -1;

// Reads by `reader` at the parcel's position; what it gives is assigned through `target`.
template <typename T, typename Reader>
binder_status_t read(const AParcel* parcel, T* target, Reader reader) {
  if (parcel == nullptr || target == nullptr) return STATUS_UNEXPECTED_NULL;
  if (const Status at = parcel->parcel->set_read_position(parcel->position); !at.is_ok()) return ndk_status(at);
  auto result = reader(*parcel->parcel);
  parcel->position = parcel->parcel->read_position();
  if (!result) return ndk_status(result.error());
  *target = std::move(*result);
  return STATUS_OK;
}

// Writes by `writer`, at the end.
template <typename Writer>
binder_status_t write(AParcel* parcel, Writer writer) {
  if (parcel == nullptr) return STATUS_UNEXPECTED_NULL;
  if (!parcel->writable || parcel->position != parcel->parcel->write_position()) return STATUS_INVALID_OPERATION;
  binder_status_t status = STATUS_OK;
  if constexpr (std::is_void_v<decltype(writer(*parcel->parcel))>) {
    writer(*parcel->parcel);
  } else {
    status = ndk_status(writer(*parcel->parcel));
  }
  parcel->position = parcel->parcel->write_position();
  return status;
}

// Writes a value in the form that it has in parcels, at the end or over what stands there.
template <typename T>
binder_status_t write_value(AParcel* parcel, T value) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  if (parcel == nullptr) return STATUS_UNEXPECTED_NULL;
  if (!parcel->writable) return STATUS_INVALID_OPERATION;
  int32_t words[sizeof(T) / 4];
  std::memcpy(words, &value, sizeof(T));
  const size_t end = parcel->parcel->write_position();
  if (parcel->position != end && sizeof(T) > end - parcel->position) return STATUS_INVALID_OPERATION;
  for (const int32_t word : words) {
    if (parcel->position == parcel->parcel->write_position()) {
      parcel->parcel->write_int32(word);
    } else {
      parcel->parcel->overwrite_int32(parcel->position, word);
    }
    parcel->position += 4;
  }
  return STATUS_OK;
}

// The count of an array, -1 for null. `minimum` bytes an element at least.
binder_status_t read_count(const AParcel* parcel, size_t minimum, int32_t* count) {
  return read(parcel, count, [minimum](const Parcel& from) -> Reply<int32_t> {
    const auto value = TRY(from.read_count(minimum));
    return value ? static_cast<int32_t>(*value) : kNull;
  });
}

binder_status_t refused(int32_t length) { return length == kNull ? STATUS_UNEXPECTED_NULL : STATUS_NO_MEMORY; }

template <typename T>
binder_status_t write_array(AParcel* parcel, const T* values, int32_t length) {
  if (length < kNull || (length == kNull && values != nullptr) || (length > 0 && values == nullptr)) return STATUS_BAD_VALUE;
  if (length == kNull) return write_value(parcel, kNull);
  return write(parcel, [&](Parcel& to) {
    if constexpr (std::is_same_v<T, uint32_t>) {
      to.write_vector(std::span(reinterpret_cast<const int32_t*>(values), static_cast<size_t>(length)));
    } else {
      to.write_vector(std::span(values, static_cast<size_t>(length)));
    }
  });
}

template <typename T>
binder_status_t read_array(const AParcel* parcel, void* data, bool (*allocator)(void*, int32_t, T**)) {
  constexpr bool kWidened = std::is_same_v<T, char16_t>;
  int32_t length = 0;
  if (const auto status = read_count(parcel, kWidened ? 4 : sizeof(T), &length); status != STATUS_OK) return status;
  T* buffer = nullptr;
  if (!allocator(data, length, &buffer) || (length > 0 && buffer == nullptr)) return refused(length);
  if (length <= 0) return STATUS_OK;
  std::span<const uint8_t> raw;
  const size_t size = static_cast<size_t>(length) * (kWidened ? 4 : sizeof(T));
  if (const auto status = read(parcel, &raw, [size](const Parcel& from) { return from.read_raw(size); }); status != STATUS_OK) {
    return status;
  }
  if constexpr (kWidened) {
    for (int32_t i = 0; i < length; ++i) std::memcpy(buffer + i, raw.data() + 4 * i, sizeof(T));  // the low half
  } else {
    std::memcpy(buffer, raw.data(), raw.size());
  }
  return STATUS_OK;
}

// A string into the memory that `allocator` gives for its length.
template <typename Allocator>
binder_status_t read_string(const AParcel* parcel, Allocator allocator) {
  std::optional<std::string> text;
  if (const auto status = read(parcel, &text, [](const Parcel& from) { return from.read_nullable_string(); });
      status != STATUS_OK) {
    return status;
  }
  if (text && text->size() >= INT32_MAX) return STATUS_NO_MEMORY;
  const int32_t length = text ? static_cast<int32_t>(text->size() + 1) : kNull;
  char* buffer = nullptr;
  if (!allocator(length, &buffer) || (text && buffer == nullptr)) return refused(length);
  if (text) std::memcpy(buffer, text->c_str(), text->size() + 1);
  return STATUS_OK;
}

}  // namespace

AParcel* AParcel_create() { return new AParcel; }
void AParcel_delete(AParcel* parcel) { delete parcel; }

binder_status_t AParcel_reset(AParcel* parcel) {
  if (parcel == nullptr) return STATUS_UNEXPECTED_NULL;
  if (!parcel->writable) return STATUS_INVALID_OPERATION;
  *parcel->parcel = Parcel();
  parcel->position = 0;
  return STATUS_OK;
}

int32_t AParcel_getDataSize(const AParcel* parcel) { return static_cast<int32_t>(parcel->parcel->bytes().size()); }
int32_t AParcel_getDataPosition(const AParcel* parcel) { return static_cast<int32_t>(parcel->position); }

binder_status_t AParcel_setDataPosition(const AParcel* parcel, int32_t position) {
  if (position < 0 || position % 4 != 0 || static_cast<size_t>(position) > parcel->parcel->bytes().size())
    return STATUS_BAD_VALUE;
  parcel->position = static_cast<size_t>(position);
  return STATUS_OK;
}

binder_status_t AParcel_appendFrom(const AParcel* from, AParcel* to, int32_t start, int32_t size) {
  if (from == nullptr) return STATUS_UNEXPECTED_NULL;
  if (start < 0 || size < 0) return STATUS_BAD_VALUE;
  return write(to, [&](Parcel& target) {
    return target.append_from(*from->parcel, static_cast<size_t>(start), static_cast<size_t>(size));
  });
}

binder_status_t AParcel_marshal(const AParcel* parcel, uint8_t* buffer, size_t start, size_t len) {
  if (parcel == nullptr || (buffer == nullptr && len > 0)) return STATUS_UNEXPECTED_NULL;
  if (!parcel->parcel->objects().empty()) return STATUS_INVALID_OPERATION;
  const auto bytes = parcel->parcel->bytes();
  if (start > bytes.size() || len > bytes.size() - start) return STATUS_BAD_VALUE;
  if (len > 0) std::memcpy(buffer, bytes.data() + start, len);
  return STATUS_OK;
}

binder_status_t AParcel_unmarshal(AParcel* parcel, const uint8_t* buffer, size_t len) {
  if (parcel == nullptr || (buffer == nullptr && len > 0)) return STATUS_UNEXPECTED_NULL;
  if (len > INT32_MAX) return STATUS_BAD_VALUE;
  if (const auto status = AParcel_reset(parcel); status != STATUS_OK) return status;
  parcel->parcel->write_raw(std::span(buffer, len));
  return STATUS_OK;
}

bool adyton_AParcel_enter(const AParcel* parcel) {
  if (parcel->depth >= Parcel::kMaxNesting) return false;
  ++parcel->depth;
  return true;
}
void adyton_AParcel_leave(const AParcel* parcel) { --parcel->depth; }

// --- Objects, file descriptors, statuses ---

binder_status_t AParcel_writeStrongBinder(AParcel* parcel, AIBinder* binder) {
  return write(parcel, [binder](Parcel& to) { to.write_binder(adyton::rpc::binder_of(binder)); });
}

binder_status_t AParcel_readStrongBinder(const AParcel* parcel, AIBinder** binder) {
  return read(parcel, binder, [](const Parcel& from) -> Reply<AIBinder*> {
    return adyton::rpc::ndk_object_of(TRY(from.read_nullable_binder()));
  });
}

// A parcelable to AIDL: a marker says whether it is there.
binder_status_t AParcel_writeParcelFileDescriptor(AParcel* parcel, int fd) {
  if (fd == -1) return write_value<int32_t>(parcel, 0);
  if (fd < 0) return STATUS_BAD_VALUE;
  return write(parcel, [fd](Parcel& to) {
    to.write_int32(1);
    to.write_int32(0);  // no second descriptor for errors of the writer's
    return to.write_fd(fd);
  });
}

binder_status_t AParcel_readParcelFileDescriptor(const AParcel* parcel, int* fd) {
  return read(parcel, fd, [](const Parcel& from) -> Reply<int> {
    if (TRY(from.read_int32()) == 0) return -1;
    UniqueFd owned = TRY(from.read_parcel_fd());
    return owned.release();
  });
}

binder_status_t AParcel_writeStatusHeader(AParcel* parcel, const AStatus* status) {
  if (status == nullptr) return STATUS_UNEXPECTED_NULL;
  return write(parcel, [status](Parcel& to) { return to.write_status(status->status); });
}

binder_status_t AParcel_readStatusHeader(const AParcel* parcel, AStatus** status) {
  return read(parcel, status, [](const Parcel& from) -> Reply<AStatus*> { return new AStatus{TRY(from.read_status())}; });
}

// --- Strings ---

binder_status_t AParcel_writeString(AParcel* parcel, const char* string, int32_t length) {
  if (string == nullptr) return length == kNull ? write_value(parcel, kNull) : STATUS_BAD_VALUE;
  if (length < 0) return STATUS_BAD_VALUE;
  return write(parcel, [&](Parcel& to) { return to.write_string(std::string_view(string, static_cast<size_t>(length))); });
}

binder_status_t AParcel_readString(const AParcel* parcel, void* stringData, AParcel_stringAllocator allocator) {
  return read_string(parcel, [&](int32_t length, char** buffer) { return allocator(stringData, length, buffer); });
}

binder_status_t AParcel_writeStringArray(AParcel* parcel, const void* arrayData, int32_t length,
                                         AParcel_stringArrayElementGetter getter) {
  if (length < kNull || (length == kNull && arrayData != nullptr)) return STATUS_BAD_VALUE;
  if (const auto status = write_value(parcel, length); status != STATUS_OK) return status;
  for (int32_t i = 0; i < length; ++i) {
    int32_t size = 0;
    const char* text = getter(arrayData, static_cast<size_t>(i), &size);
    if (const auto status = AParcel_writeString(parcel, text, size); status != STATUS_OK) return status;
  }
  return STATUS_OK;
}

binder_status_t AParcel_readStringArray(const AParcel* parcel, void* arrayData, AParcel_stringArrayAllocator allocator,
                                        AParcel_stringArrayElementAllocator elementAllocator) {
  int32_t length = 0;
  if (const auto status = read_count(parcel, sizeof(int32_t), &length); status != STATUS_OK) return status;
  if (!allocator(arrayData, length)) return refused(length);
  for (int32_t i = 0; i < length; ++i) {
    const auto status = read_string(
        parcel, [&](int32_t size, char** buffer) { return elementAllocator(arrayData, static_cast<size_t>(i), size, buffer); });
    if (status != STATUS_OK) return status;
  }
  return STATUS_OK;
}

// --- Arrays of what the caller reads and writes itself ---

binder_status_t AParcel_writeParcelableArray(AParcel* parcel, const void* arrayData, int32_t length,
                                             AParcel_writeParcelableElement elementWriter) {
  if (length < kNull || (length == kNull && arrayData != nullptr)) return STATUS_BAD_VALUE;
  if (const auto status = write_value(parcel, length); status != STATUS_OK) return status;
  for (int32_t i = 0; i < length; ++i) {
    if (const auto status = elementWriter(parcel, arrayData, static_cast<size_t>(i)); status != STATUS_OK) return status;
  }
  return STATUS_OK;
}

binder_status_t AParcel_readParcelableArray(const AParcel* parcel, void* arrayData, AParcel_parcelableArrayAllocator allocator,
                                            AParcel_readParcelableElement elementReader) {
  int32_t length = 0;
  if (const auto status = read_count(parcel, sizeof(int32_t), &length); status != STATUS_OK) return status;
  if (!allocator(arrayData, length)) return refused(length);
  for (int32_t i = 0; i < length; ++i) {
    if (const auto status = elementReader(parcel, arrayData, static_cast<size_t>(i)); status != STATUS_OK) return status;
  }
  return STATUS_OK;
}

// --- Values ---

binder_status_t AParcel_writeInt32(AParcel* parcel, int32_t value) { return write_value(parcel, value); }
binder_status_t AParcel_writeUint32(AParcel* parcel, uint32_t value) { return write_value(parcel, value); }
binder_status_t AParcel_writeInt64(AParcel* parcel, int64_t value) { return write_value(parcel, value); }
binder_status_t AParcel_writeUint64(AParcel* parcel, uint64_t value) { return write_value(parcel, value); }
binder_status_t AParcel_writeFloat(AParcel* parcel, float value) { return write_value(parcel, value); }
binder_status_t AParcel_writeDouble(AParcel* parcel, double value) { return write_value(parcel, value); }
binder_status_t AParcel_writeBool(AParcel* parcel, bool value) { return write_value<int32_t>(parcel, value); }
binder_status_t AParcel_writeChar(AParcel* parcel, char16_t value) { return write_value<int32_t>(parcel, value); }
binder_status_t AParcel_writeByte(AParcel* parcel, int8_t value) { return write_value<int32_t>(parcel, value); }

binder_status_t AParcel_readInt32(const AParcel* parcel, int32_t* value) {
  return read(parcel, value, [](const Parcel& from) { return from.read_int32(); });
}
binder_status_t AParcel_readUint32(const AParcel* parcel, uint32_t* value) {
  return read(parcel, value, [](const Parcel& from) { return from.read_uint32(); });
}
binder_status_t AParcel_readInt64(const AParcel* parcel, int64_t* value) {
  return read(parcel, value, [](const Parcel& from) { return from.read_int64(); });
}
binder_status_t AParcel_readUint64(const AParcel* parcel, uint64_t* value) {
  return read(parcel, value, [](const Parcel& from) { return from.read_uint64(); });
}
binder_status_t AParcel_readFloat(const AParcel* parcel, float* value) {
  return read(parcel, value, [](const Parcel& from) { return from.read_float(); });
}
binder_status_t AParcel_readDouble(const AParcel* parcel, double* value) {
  return read(parcel, value, [](const Parcel& from) { return from.read_double(); });
}
binder_status_t AParcel_readBool(const AParcel* parcel, bool* value) {
  return read(parcel, value, [](const Parcel& from) { return from.read_bool(); });
}
binder_status_t AParcel_readChar(const AParcel* parcel, char16_t* value) {
  return read(parcel, value, [](const Parcel& from) { return from.read_char(); });
}
binder_status_t AParcel_readByte(const AParcel* parcel, int8_t* value) {
  return read(parcel, value, [](const Parcel& from) { return from.read_byte(); });
}

// --- Arrays of values ---

binder_status_t AParcel_writeInt32Array(AParcel* parcel, const int32_t* arrayData, int32_t length) {
  return write_array(parcel, arrayData, length);
}
binder_status_t AParcel_writeUint32Array(AParcel* parcel, const uint32_t* arrayData, int32_t length) {
  return write_array(parcel, arrayData, length);
}
binder_status_t AParcel_writeInt64Array(AParcel* parcel, const int64_t* arrayData, int32_t length) {
  return write_array(parcel, arrayData, length);
}
binder_status_t AParcel_writeUint64Array(AParcel* parcel, const uint64_t* arrayData, int32_t length) {
  return write_array(parcel, arrayData, length);
}
binder_status_t AParcel_writeFloatArray(AParcel* parcel, const float* arrayData, int32_t length) {
  return write_array(parcel, arrayData, length);
}
binder_status_t AParcel_writeDoubleArray(AParcel* parcel, const double* arrayData, int32_t length) {
  return write_array(parcel, arrayData, length);
}
binder_status_t AParcel_writeCharArray(AParcel* parcel, const char16_t* arrayData, int32_t length) {
  return write_array(parcel, arrayData, length);
}
binder_status_t AParcel_writeByteArray(AParcel* parcel, const int8_t* arrayData, int32_t length) {
  return write_array(parcel, arrayData, length);
}
binder_status_t AParcel_writeBoolArray(AParcel* parcel, const void* arrayData, int32_t length, AParcel_boolArrayGetter getter) {
  if (length < kNull || (length == kNull && arrayData != nullptr)) return STATUS_BAD_VALUE;
  if (const auto status = write_value(parcel, length); status != STATUS_OK) return status;
  for (int32_t i = 0; i < length; ++i) {
    if (const auto status = AParcel_writeBool(parcel, getter(arrayData, static_cast<size_t>(i))); status != STATUS_OK)
      return status;
  }
  return STATUS_OK;
}

binder_status_t AParcel_readInt32Array(const AParcel* parcel, void* arrayData, AParcel_int32ArrayAllocator allocator) {
  return read_array(parcel, arrayData, allocator);
}
binder_status_t AParcel_readUint32Array(const AParcel* parcel, void* arrayData, AParcel_uint32ArrayAllocator allocator) {
  return read_array(parcel, arrayData, allocator);
}
binder_status_t AParcel_readInt64Array(const AParcel* parcel, void* arrayData, AParcel_int64ArrayAllocator allocator) {
  return read_array(parcel, arrayData, allocator);
}
binder_status_t AParcel_readUint64Array(const AParcel* parcel, void* arrayData, AParcel_uint64ArrayAllocator allocator) {
  return read_array(parcel, arrayData, allocator);
}
binder_status_t AParcel_readFloatArray(const AParcel* parcel, void* arrayData, AParcel_floatArrayAllocator allocator) {
  return read_array(parcel, arrayData, allocator);
}
binder_status_t AParcel_readDoubleArray(const AParcel* parcel, void* arrayData, AParcel_doubleArrayAllocator allocator) {
  return read_array(parcel, arrayData, allocator);
}
binder_status_t AParcel_readCharArray(const AParcel* parcel, void* arrayData, AParcel_charArrayAllocator allocator) {
  return read_array(parcel, arrayData, allocator);
}
binder_status_t AParcel_readByteArray(const AParcel* parcel, void* arrayData, AParcel_byteArrayAllocator allocator) {
  return read_array(parcel, arrayData, allocator);
}
binder_status_t AParcel_readBoolArray(const AParcel* parcel, void* arrayData, AParcel_boolArrayAllocator allocator,
                                      AParcel_boolArraySetter setter) {
  int32_t length = 0;
  if (const auto status = read_count(parcel, sizeof(int32_t), &length); status != STATUS_OK) return status;
  if (!allocator(arrayData, length)) return refused(length);
  for (int32_t i = 0; i < length; ++i) {
    bool value = false;
    if (const auto status = AParcel_readBool(parcel, &value); status != STATUS_OK) return status;
    setter(arrayData, static_cast<size_t>(i), value);
  }
  return STATUS_OK;
}
