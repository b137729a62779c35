// How each C++ type of `aidl --lang=ndk` is written to a parcel and read from it, as the Android NDK names it.
//
// AParcel_writeData() and AParcel_readData() do it for every type, AParcel_writeNullableData() and AParcel_readNullableData()
// where AIDL says @nullable; the others are the names that generated code has for some of them. `optional` and `unique_ptr` may
// always hold nothing; pointers to interfaces, SpAIBinder and ScopedFileDescriptor may be null in the nullable forms and inside
// of optional vectors and arrays.
#pragma once
#include <android/binder_auto_utils.h>
#include <android/binder_interface_utils.h>
#include <android/binder_parcel.h>
#include <android/binder_parcelable_utils.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

// Ours: counts how deep parcelables are nested while they are read; false when it is too deep.
extern "C" bool adyton_AParcel_enter(const AParcel* parcel);
extern "C" void adyton_AParcel_leave(const AParcel* parcel);

// Evaluates a binder_status_t; returns it from the enclosing function unless it is STATUS_OK.
#define ADYTON_NDK_TRY(expression)                                                                                        \
  do {                                                                                                                    \
    if (const binder_status_t adyton_ndk_status = (expression); adyton_ndk_status != STATUS_OK) return adyton_ndk_status; \
  } while (false)

namespace ndk {
namespace internal {

template <typename T, template <typename...> class Template>
constexpr bool kIsA = false;
template <template <typename...> class Template, typename... Ts>
constexpr bool kIsA<Template<Ts...>, Template> = true;
template <typename T>
constexpr bool kIsArray = false;
template <typename T, size_t N>
constexpr bool kIsArray<std::array<T, N>> = true;

// Types with the functions of generated parcelables.
template <typename T, typename = void, typename = void>
constexpr bool kIsParcelable = false;
template <typename T>
constexpr bool kIsParcelable<T, std::void_t<decltype(std::declval<const T&>().writeToParcel(std::declval<AParcel*>()))>,
                             std::void_t<decltype(std::declval<T&>().readFromParcel(std::declval<const AParcel*>()))>> = true;

// Values whose arrays there are C functions for.
template <typename T>
constexpr bool kIsPlain = std::is_enum_v<T> || (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>);

// What such a value is in the parcel.
template <typename T, bool = std::is_enum_v<T>>
struct WireOf {
  using type = T;
};
template <typename T>
struct WireOf<T, true> {
  using type = std::underlying_type_t<T>;
};
template <>
struct WireOf<uint8_t, false> {
  using type = int8_t;
};
template <typename T>
using Wire = typename WireOf<T>::type;

// What a pointer, or what is like one, points to.
template <typename T>
using Pointee = std::remove_cv_t<std::remove_reference_t<decltype(*std::declval<T&>())>>;

#define ADYTON_NDK_VALUE(type, name)                                                                                    \
  inline binder_status_t write_value(AParcel* parcel, type value) { return AParcel_write##name(parcel, value); }        \
  inline binder_status_t read_value(const AParcel* parcel, type* target) { return AParcel_read##name(parcel, target); } \
  inline binder_status_t write_values(AParcel* parcel, const type* values, int32_t count) {                             \
    return AParcel_write##name##Array(parcel, values, count);                                                           \
  }                                                                                                                     \
  inline binder_status_t read_values(const AParcel* parcel, void* data, bool (*allocate)(void*, int32_t, type**)) {     \
    return AParcel_read##name##Array(parcel, data, allocate);                                                           \
  }
ADYTON_NDK_VALUE(int32_t, Int32)
ADYTON_NDK_VALUE(uint32_t, Uint32)
ADYTON_NDK_VALUE(int64_t, Int64)
ADYTON_NDK_VALUE(uint64_t, Uint64)
ADYTON_NDK_VALUE(float, Float)
ADYTON_NDK_VALUE(double, Double)
ADYTON_NDK_VALUE(char16_t, Char)
ADYTON_NDK_VALUE(int8_t, Byte)
#undef ADYTON_NDK_VALUE

// The int32 that stands for nothing in place of a T.
template <typename T>
constexpr int32_t kNull = kIsParcelable<T> ? 0 : -1;

inline binder_status_t write_count(AParcel* parcel, size_t count) {
  if (count > static_cast<size_t>(std::numeric_limits<int32_t>::max())) return STATUS_BAD_VALUE;
  return AParcel_writeInt32(parcel, static_cast<int32_t>(count));
}

template <bool kNullable, typename T>
binder_status_t write_data(AParcel* parcel, const T& value);

template <bool kNullable, typename Sequence>
binder_status_t write_sequence(AParcel* parcel, const Sequence& values) {
  using T = typename Sequence::value_type;
  if constexpr (kIsPlain<T>) {
    if (values.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) return STATUS_BAD_VALUE;
    if (values.empty()) return AParcel_writeInt32(parcel, 0);  // an empty vector's data() may be null
    return write_values(parcel, reinterpret_cast<const Wire<T>*>(values.data()), static_cast<int32_t>(values.size()));
  } else {
    ADYTON_NDK_TRY(write_count(parcel, values.size()));
    for (size_t i = 0; i < values.size(); ++i) ADYTON_NDK_TRY((write_data<kNullable, T>(parcel, values[i])));
    return STATUS_OK;
  }
}

template <bool kNullable, typename T>
binder_status_t write_data(AParcel* parcel, const T& value) {
  if constexpr (kIsA<T, std::optional> || kIsA<T, std::unique_ptr>) {
    using Inner = Pointee<T>;
    if (!value) return AParcel_writeInt32(parcel, kNull<Inner>);
    return write_data<true, Inner>(parcel, *value);
  } else if constexpr (kIsPlain<T>) {
    return write_value(parcel, static_cast<Wire<T>>(value));
  } else if constexpr (std::is_same_v<T, bool>) {
    return AParcel_writeBool(parcel, value);
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (value.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) return STATUS_BAD_VALUE;
    return AParcel_writeString(parcel, value.data(), static_cast<int32_t>(value.size()));
  } else if constexpr (kIsA<T, std::vector> || kIsArray<T>) {
    return write_sequence<kNullable>(parcel, value);
  } else if constexpr (kIsA<T, std::shared_ptr>) {
    if (!kNullable && !value) return STATUS_UNEXPECTED_NULL;
    return T::element_type::writeToParcel(parcel, value);
  } else if constexpr (std::is_same_v<T, SpAIBinder>) {
    if (!kNullable && value.get() == nullptr) return STATUS_UNEXPECTED_NULL;
    return AParcel_writeStrongBinder(parcel, value.get());
  } else if constexpr (std::is_same_v<T, ScopedFileDescriptor>) {
    if (!kNullable && value.get() < 0) return STATUS_UNEXPECTED_NULL;
    return AParcel_writeParcelFileDescriptor(parcel, value.get());
  } else {
    static_assert(kIsParcelable<T>, "not a type of AIDL");
    ADYTON_NDK_TRY(AParcel_writeInt32(parcel, 1));
    return value.writeToParcel(parcel);
  }
}

template <bool kNullable, typename T>
binder_status_t read_data(const AParcel* parcel, T* target);

// Memory for an array that is there.
template <typename Sequence>
bool allocate_values(void* data, int32_t length, Wire<typename Sequence::value_type>** buffer) {
  auto* values = static_cast<Sequence*>(data);
  if (length < 0) return false;
  if constexpr (kIsArray<Sequence>) {
    if (static_cast<size_t>(length) != values->size()) return false;
  } else {
    values->resize(static_cast<size_t>(length));
  }
  *buffer = reinterpret_cast<Wire<typename Sequence::value_type>*>(values->data());
  return true;
}

// Moves on if an int32 says that nothing comes.
inline binder_status_t read_null(const AParcel* parcel, int32_t null, bool* is_null) {
  const int32_t start = AParcel_getDataPosition(parcel);
  int32_t first = 0;
  ADYTON_NDK_TRY(AParcel_readInt32(parcel, &first));
  *is_null = first == null;
  return *is_null ? STATUS_OK : AParcel_setDataPosition(parcel, start);
}

template <bool kNullable, typename Sequence>
binder_status_t read_sequence(const AParcel* parcel, Sequence* targets) {
  using T = typename Sequence::value_type;
  int32_t count = 0;
  const int32_t start = AParcel_getDataPosition(parcel);
  ADYTON_NDK_TRY(AParcel_readInt32(parcel, &count));
  if (count < 0) return count == -1 ? STATUS_UNEXPECTED_NULL : STATUS_BAD_VALUE;
  if constexpr (kIsArray<Sequence>) {
    if (static_cast<size_t>(count) != targets->size()) return STATUS_BAD_VALUE;
  }
  if constexpr (kIsPlain<T>) {
    ADYTON_NDK_TRY(AParcel_setDataPosition(parcel, start));
    return read_values(parcel, targets, &allocate_values<Sequence>);
  } else if constexpr (kIsArray<Sequence>) {
    for (T& target : *targets) ADYTON_NDK_TRY((read_data<kNullable, T>(parcel, &target)));
    return STATUS_OK;
  } else {
    // One by one: an element in memory may be much larger than the few bytes that it takes in a parcel.
    targets->clear();
    for (int32_t i = 0; i < count; ++i) {
      T element{};
      ADYTON_NDK_TRY((read_data<kNullable, T>(parcel, &element)));
      targets->push_back(std::move(element));
    }
    return STATUS_OK;
  }
}

inline bool allocate_string(void* data, int32_t length, char** buffer) {
  if (length < 1) return false;
  auto* text = static_cast<std::string*>(data);
  text->resize(static_cast<size_t>(length) - 1);
  *buffer = text->data();  // its own NUL takes the one that is read
  return true;
}

template <bool kNullable, typename T>
binder_status_t read_data(const AParcel* parcel, T* target) {
  if constexpr (kIsA<T, std::optional> || kIsA<T, std::unique_ptr>) {
    using Inner = Pointee<T>;
    target->reset();
    bool is_null = false;
    ADYTON_NDK_TRY(read_null(parcel, kNull<Inner>, &is_null));
    if (is_null) return STATUS_OK;
    if constexpr (kIsA<T, std::optional>) {
      target->emplace();
    } else {
      *target = std::make_unique<Inner>();
    }
    return read_data<true, Inner>(parcel, &**target);
  } else if constexpr (kIsPlain<T>) {
    Wire<T> value{};
    ADYTON_NDK_TRY(read_value(parcel, &value));
    *target = static_cast<T>(value);
    return STATUS_OK;
  } else if constexpr (std::is_same_v<T, bool>) {
    return AParcel_readBool(parcel, target);
  } else if constexpr (std::is_same_v<T, std::string>) {
    return AParcel_readString(parcel, target, allocate_string);
  } else if constexpr (kIsA<T, std::vector> || kIsArray<T>) {
    return read_sequence<kNullable>(parcel, target);
  } else if constexpr (kIsA<T, std::shared_ptr>) {
    ADYTON_NDK_TRY(T::element_type::readFromParcel(parcel, target));
    return kNullable || *target ? STATUS_OK : STATUS_UNEXPECTED_NULL;
  } else if constexpr (std::is_same_v<T, SpAIBinder>) {
    target->set(nullptr);
    ADYTON_NDK_TRY(AParcel_readStrongBinder(parcel, target->getR()));
    return kNullable || target->get() != nullptr ? STATUS_OK : STATUS_UNEXPECTED_NULL;
  } else if constexpr (std::is_same_v<T, ScopedFileDescriptor>) {
    int fd = -1;
    ADYTON_NDK_TRY(AParcel_readParcelFileDescriptor(parcel, &fd));
    target->set(fd);
    return kNullable || fd >= 0 ? STATUS_OK : STATUS_UNEXPECTED_NULL;
  } else {
    static_assert(kIsParcelable<T>, "not a type of AIDL");
    int32_t marker = 0;
    ADYTON_NDK_TRY(AParcel_readInt32(parcel, &marker));
    if (marker == 0) return STATUS_UNEXPECTED_NULL;
    if (!adyton_AParcel_enter(parcel)) return STATUS_BAD_VALUE;
    const binder_status_t status = target->readFromParcel(parcel);
    adyton_AParcel_leave(parcel);
    return status;
  }
}

// What a call's `out` arrays may cost before anything has been sent for them.
inline constexpr size_t kMaxOutArrayBytes = size_t{1} << 20;

}  // namespace internal

// --- Every type ---

template <typename T>
binder_status_t AParcel_writeData(AParcel* parcel, const T& value) {
  return internal::write_data<false, T>(parcel, value);
}
template <typename T>
binder_status_t AParcel_readData(const AParcel* parcel, T* target) {
  return internal::read_data<false, T>(parcel, target);
}
template <typename T>
binder_status_t AParcel_writeNullableData(AParcel* parcel, const T& value) {
  return internal::write_data<true, T>(parcel, value);
}
template <typename T>
binder_status_t AParcel_readNullableData(const AParcel* parcel, T* target) {
  return internal::read_data<true, T>(parcel, target);
}

// --- Names for some ---

inline binder_status_t AParcel_writeString(AParcel* parcel, const std::string& text) { return AParcel_writeData(parcel, text); }
inline binder_status_t AParcel_readString(const AParcel* parcel, std::string* text) { return AParcel_readData(parcel, text); }
inline binder_status_t AParcel_writeString(AParcel* parcel, const std::optional<std::string>& text) {
  return AParcel_writeData(parcel, text);
}
inline binder_status_t AParcel_readString(const AParcel* parcel, std::optional<std::string>* text) {
  return AParcel_readData(parcel, text);
}

template <typename V>
binder_status_t AParcel_writeVector(AParcel* parcel, const V& values) {
  return AParcel_writeData(parcel, values);
}
template <typename V>
binder_status_t AParcel_readVector(const AParcel* parcel, V* targets) {
  return AParcel_readData(parcel, targets);
}

template <typename A>
binder_status_t AParcel_writeFixedArray(AParcel* parcel, const A& values) {
  return AParcel_writeData(parcel, values);
}
template <typename A>
binder_status_t AParcel_readFixedArray(const AParcel* parcel, A* targets) {
  return AParcel_readData(parcel, targets);
}
template <typename A>
binder_status_t AParcel_writeFixedArrayWithNullableData(AParcel* parcel, const A& values) {
  return AParcel_writeNullableData(parcel, values);
}
template <typename A>
binder_status_t AParcel_readFixedArrayWithNullableData(const AParcel* parcel, A* targets) {
  return AParcel_readNullableData(parcel, targets);
}
template <typename A>
binder_status_t AParcel_writeNullableFixedArrayWithNullableData(AParcel* parcel, const A& values) {
  return AParcel_writeNullableData(parcel, values);
}
template <typename A>
binder_status_t AParcel_readNullableFixedArrayWithNullableData(const AParcel* parcel, A* targets) {
  return AParcel_readNullableData(parcel, targets);
}

template <typename P>
binder_status_t AParcel_writeParcelable(AParcel* parcel, const P& value) {
  return AParcel_writeData(parcel, value);
}
template <typename P>
binder_status_t AParcel_readParcelable(const AParcel* parcel, P* target) {
  return AParcel_readData(parcel, target);
}
template <typename P>
binder_status_t AParcel_writeNullableParcelable(AParcel* parcel, const P& value) {
  return AParcel_writeNullableData(parcel, value);
}
template <typename P>
binder_status_t AParcel_readNullableParcelable(const AParcel* parcel, P* target) {
  return AParcel_readNullableData(parcel, target);
}

inline binder_status_t AParcel_writeRequiredStrongBinder(AParcel* parcel, const SpAIBinder& binder) {
  return AParcel_writeData(parcel, binder);
}
inline binder_status_t AParcel_readRequiredStrongBinder(const AParcel* parcel, SpAIBinder* binder) {
  return AParcel_readData(parcel, binder);
}
inline binder_status_t AParcel_writeNullableStrongBinder(AParcel* parcel, const SpAIBinder& binder) {
  return AParcel_writeNullableData(parcel, binder);
}
inline binder_status_t AParcel_readNullableStrongBinder(const AParcel* parcel, SpAIBinder* binder) {
  return AParcel_readNullableData(parcel, binder);
}

inline binder_status_t AParcel_writeRequiredParcelFileDescriptor(AParcel* parcel, const ScopedFileDescriptor& fd) {
  return AParcel_writeData(parcel, fd);
}
inline binder_status_t AParcel_readRequiredParcelFileDescriptor(const AParcel* parcel, ScopedFileDescriptor* fd) {
  return AParcel_readData(parcel, fd);
}
inline binder_status_t AParcel_writeNullableParcelFileDescriptor(AParcel* parcel, const ScopedFileDescriptor& fd) {
  return AParcel_writeNullableData(parcel, fd);
}
inline binder_status_t AParcel_readNullableParcelFileDescriptor(const AParcel* parcel, ScopedFileDescriptor* fd) {
  return AParcel_readNullableData(parcel, fd);
}

// --- The sizes of `out` arrays: the caller's count travels, so that the service can fill what the caller has ---

template <typename T>
binder_status_t AParcel_writeVectorSize(AParcel* parcel, const std::vector<T>& values) {
  return internal::write_count(parcel, values.size());
}
template <typename T>
binder_status_t AParcel_writeVectorSize(AParcel* parcel, const std::optional<std::vector<T>>& values) {
  return values ? internal::write_count(parcel, values->size()) : AParcel_writeInt32(parcel, -1);
}
template <typename T>
binder_status_t AParcel_resizeVector(const AParcel* parcel, std::vector<T>* values) {
  int32_t count = 0;
  ADYTON_NDK_TRY(AParcel_readInt32(parcel, &count));
  if (count < 0) return STATUS_UNEXPECTED_NULL;
  if (static_cast<size_t>(count) > internal::kMaxOutArrayBytes / sizeof(T)) return STATUS_NO_MEMORY;
  values->resize(static_cast<size_t>(count));
  return STATUS_OK;
}
template <typename T>
binder_status_t AParcel_resizeVector(const AParcel* parcel, std::optional<std::vector<T>>* values) {
  bool is_null = false;
  values->reset();
  ADYTON_NDK_TRY(internal::read_null(parcel, -1, &is_null));
  return is_null ? STATUS_OK : AParcel_resizeVector(parcel, &values->emplace());
}

}  // namespace ndk
