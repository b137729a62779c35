// How each C++ type of docs/aidl.md is written to a parcel and read from it, for generated code and for anyone who writes a
// Parcelable by hand. The layout is that of AOSP's C++ back end, so that either side may be AOSP's.
//
//   write(&parcel, value)            any field, argument or result                  read(parcel, &value)
//   write_all(&parcel, a, b, c)      one after the other                            read_all(parcel, &a, &b, &c)
//   write_structured(&parcel, a, b)  the inside of a structured parcelable          read_structured(parcel, &a, &b)
//   write_union(&parcel, variant)    the inside of a union                          read_union(parcel, &variant)
//
// Where the type alone does not say it: `nullable(x)` for interfaces and IBinders that may be null, also as elements of vectors
// and arrays (elements of optional ones may be null anyway), and `file_descriptor(x)` for UniqueFds that are FileDescriptor in
// AIDL, not ParcelFileDescriptor: write(&parcel, nullable(x)), read(parcel, nullable(&x)), and so in the lists.
//
// A failed read leaves its target in some valid state. Reading costs memory in proportion to what the parcel holds, whatever its
// counts say.
#pragma once
#include <array>
#include <concepts>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/unique_fd.h"
#include "rpc/binder.h"
#include "rpc/parcel.h"
#include "rpc/status.h"

// Evaluates a Status; returns it from the enclosing function, which returns Status too, unless it is ok.
#define ADYTON_RPC_TRY(expression)                                                                                    \
  do {                                                                                                                \
    if (::adyton::rpc::Status adyton_rpc_status = (expression); !adyton_rpc_status.is_ok()) return adyton_rpc_status; \
  } while (false)

namespace adyton::rpc {

// A structured parcelable, a union, or a class of yours: what stands behind the marker that says that it is there.
template <typename T>
concept Parcelable = requires(const T& value, T& target, Parcel* out, const Parcel& in) {
  { value.write_to(out) } -> std::same_as<Status>;
  { target.read_from(in) } -> std::same_as<Status>;
};

template <typename T>
concept AidlInterface = std::derived_from<T, Interface> && requires(std::shared_ptr<Binder> binder) {
  { T::from_binder(binder) } -> std::same_as<std::shared_ptr<T>>;
  { T::kDescriptor } -> std::convertible_to<std::string_view>;
};

enum class Form : uint8_t { kPlain, kNullable, kFileDescriptor };

template <Form F, typename T>
struct Formed {
  T* value;
};
template <typename T>
Formed<Form::kNullable, const T> nullable(const T& value) {
  return {&value};
}
template <typename T>
Formed<Form::kNullable, T> nullable(T* target) {
  return {target};
}
template <typename T>
Formed<Form::kFileDescriptor, const T> file_descriptor(const T& value) {
  return {&value};
}
template <typename T>
Formed<Form::kFileDescriptor, T> file_descriptor(T* target) {
  return {target};
}

// One specialization per type: write(), read(), the least number of bytes that a value takes (kMinimumSize), and for types that
// can be inside an optional the int32 that stands for none (kNull).
template <typename T, Form F = Form::kPlain>
struct Codec;

namespace internal {

template <typename T>
Status take(Reply<T> reply, T* target) {
  if (!reply) return std::move(reply).error();
  *target = std::move(*reply);
  return Status::ok();
}

// Elements that vectors and arrays hold as they stand in memory.
template <typename T>
constexpr bool kIsPacked = (std::is_arithmetic_v<T> && !std::same_as<T, bool> && !std::same_as<T, char16_t>) || std::is_enum_v<T>;

template <typename T, Form F>
consteval size_t minimum_element_size() {
  if constexpr (kIsPacked<T>) {
    return sizeof(T);
  } else {
    return Codec<T, F>::kMinimumSize;
  }
}

// The elements behind a count.
template <Form F, typename T>
Status write_elements(Parcel* parcel, std::span<const T> values) {
  if constexpr (kIsPacked<T>) {
    parcel->write_raw({reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()});
  } else {
    for (const T& value : values) ADYTON_RPC_TRY((Codec<T, F>::write(parcel, value)));
  }
  return Status::ok();
}

template <typename T>
Status read_packed(const Parcel& parcel, std::span<T> targets) {
  const auto raw = parcel.read_raw(targets.size_bytes());
  if (!raw) return raw.error();
  if (!raw->empty()) std::memcpy(targets.data(), raw->data(), raw->size());
  return Status::ok();
}

// A count of a vector or array that is there.
inline Reply<uint32_t> read_present_count(const Parcel& parcel, size_t minimum_element_size) {
  const auto count = TRY(parcel.read_count(minimum_element_size));
  if (!count) return fail(TransportError::kUnexpectedNull);
  return *count;
}

// What is the same for optional<T> and unique_ptr<T>: `holder` converts to bool and to T by *.
template <typename T, Form F, typename Holder>
Status write_held(Parcel* parcel, const Holder& holder) {
  if (holder) return Codec<T, F>::write(parcel, *holder);
  parcel->write_int32(Codec<T, F>::kNull);
  return Status::ok();
}

// Moves on if what comes is nothing.
template <typename T, Form F>
Reply<bool> read_null(const Parcel& parcel) {
  const size_t start = parcel.read_position();
  if (TRY(parcel.read_int32()) == Codec<T, F>::kNull) return true;
  static_cast<void>(parcel.set_read_position(start));
  return false;
}

// A vector that may be null may have null elements too (AIDL: @nullable of an array is for its elements as well).
template <Form F>
constexpr Form kInOptional = F == Form::kPlain ? Form::kNullable : F;

}  // namespace internal

// --- Values: as int32 unless they are wider ---

#define ADYTON_RPC_VALUE_CODEC(type, name, size)                                                                    \
  template <Form F>                                                                                                 \
  struct Codec<type, F> {                                                                                           \
    static constexpr size_t kMinimumSize = size;                                                                    \
    static Status write(Parcel* parcel, type value) {                                                               \
      parcel->write_##name(value);                                                                                  \
      return Status::ok();                                                                                          \
    }                                                                                                               \
    static Status read(const Parcel& parcel, type* target) { return internal::take(parcel.read_##name(), target); } \
  }
ADYTON_RPC_VALUE_CODEC(bool, bool, 4);
ADYTON_RPC_VALUE_CODEC(int8_t, byte, 4);
ADYTON_RPC_VALUE_CODEC(char16_t, char, 4);
ADYTON_RPC_VALUE_CODEC(int32_t, int32, 4);
ADYTON_RPC_VALUE_CODEC(int64_t, int64, 8);
ADYTON_RPC_VALUE_CODEC(uint64_t, uint64, 8);
ADYTON_RPC_VALUE_CODEC(float, float, 4);
ADYTON_RPC_VALUE_CODEC(double, double, 8);
#undef ADYTON_RPC_VALUE_CODEC

// Enumerators are not checked: a newer peer may know more of them.
template <typename T, Form F>
  requires std::is_enum_v<T>
struct Codec<T, F> {
  using Backing = std::underlying_type_t<T>;
  static constexpr size_t kMinimumSize = Codec<Backing>::kMinimumSize;
  static Status write(Parcel* parcel, T value) { return Codec<Backing>::write(parcel, static_cast<Backing>(value)); }
  static Status read(const Parcel& parcel, T* target) {
    Backing value{};
    ADYTON_RPC_TRY(Codec<Backing>::read(parcel, &value));
    *target = static_cast<T>(value);
    return Status::ok();
  }
};

template <Form F>
struct Codec<std::string, F> {
  static constexpr size_t kMinimumSize = 8;
  static constexpr int32_t kNull = -1;
  static Status write(Parcel* parcel, const std::string& value) { return parcel->write_string(value); }
  static Status read(const Parcel& parcel, std::string* target) { return internal::take(parcel.read_string(), target); }
};

// --- Sequences: int32 count, then the elements ---

// What methods take for arrays of values; it can only be written.
template <typename T, Form F>
struct Codec<std::span<const T>, F> {
  static Status write(Parcel* parcel, std::span<const T> values) {
    if (values.size() > std::numeric_limits<int32_t>::max()) return Status::from_transport(TransportError::kBadValue);
    parcel->write_int32(static_cast<int32_t>(values.size()));
    return internal::write_elements<F>(parcel, values);
  }
};

template <typename T, Form F>
struct Codec<std::vector<T>, F> {
  static constexpr size_t kMinimumSize = 4;
  static constexpr int32_t kNull = -1;
  static Status write(Parcel* parcel, const std::vector<T>& values) {
    if constexpr (std::same_as<T, bool>) {
      parcel->write_int32(static_cast<int32_t>(values.size()));
      for (const bool value : values) parcel->write_bool(value);
      return Status::ok();
    } else {
      return Codec<std::span<const T>, F>::write(parcel, values);
    }
  }
  static Status read(const Parcel& parcel, std::vector<T>* targets) {
    targets->clear();
    const auto count = internal::read_present_count(parcel, internal::minimum_element_size<T, F>());
    if (!count) return count.error();
    if constexpr (internal::kIsPacked<T>) {
      targets->resize(*count);
      return internal::read_packed(parcel, std::span<T>(*targets));
    } else {
      // One by one: an element in memory may be much larger than the few bytes that it takes in a parcel.
      for (uint32_t i = 0; i < *count; ++i) {
        T element{};
        ADYTON_RPC_TRY((Codec<T, F>::read(parcel, &element)));
        targets->push_back(std::move(element));
      }
      return Status::ok();
    }
  }
};

// Of more dimensions: an array of arrays, each with its count.
template <typename T, size_t N, Form F>
struct Codec<std::array<T, N>, F> {
  static constexpr size_t kMinimumSize = 4;
  static constexpr int32_t kNull = -1;
  static Status write(Parcel* parcel, const std::array<T, N>& values) {
    return Codec<std::span<const T>, F>::write(parcel, values);
  }
  static Status read(const Parcel& parcel, std::array<T, N>* targets) {
    const auto count = internal::read_present_count(parcel, internal::minimum_element_size<T, F>());
    if (!count) return count.error();
    if (*count != N) return Status::from_transport(TransportError::kBadValue, "an array of another size");
    if constexpr (internal::kIsPacked<T>) {
      return internal::read_packed(parcel, std::span<T>(*targets));
    } else {
      for (T& target : *targets) ADYTON_RPC_TRY((Codec<T, F>::read(parcel, &target)));
      return Status::ok();
    }
  }
};

// --- Parcelables: int32 1, then the inside; 0 for none ---

template <Parcelable T, Form F>
struct Codec<T, F> {
  static constexpr size_t kMinimumSize = 4;
  static constexpr int32_t kNull = 0;
  static Status write(Parcel* parcel, const T& value) {
    parcel->write_int32(1);
    return value.write_to(parcel);
  }
  static Status read(const Parcel& parcel, T* target) {
    const auto marker = parcel.read_int32();
    if (!marker) return marker.error();
    if (*marker == kNull) return Status::from_transport(TransportError::kUnexpectedNull);
    const Parcel::Nesting nesting(parcel);
    if (nesting.too_deep()) return Status::from_transport(TransportError::kBadValue, "parcelables nested too deeply");
    return target->read_from(parcel);
  }
};

// ParcelFileDescriptor is a parcelable to AIDL; a UniqueFd without a descriptor is null.
template <Form F>
struct Codec<UniqueFd, F> {
  static constexpr size_t kMinimumSize = 4;
  static constexpr int32_t kNull = 0;
  static Status write(Parcel* parcel, const UniqueFd& fd) {
    if (!fd.valid()) return Status::from_transport(TransportError::kUnexpectedNull);
    parcel->write_int32(1);
    return parcel->write_parcel_fd(fd);
  }
  static Status read(const Parcel& parcel, UniqueFd* target) {
    const auto marker = parcel.read_int32();
    if (!marker) return marker.error();
    if (*marker == kNull) return Status::from_transport(TransportError::kUnexpectedNull);
    return internal::take(parcel.read_parcel_fd(), target);
  }
};

template <>
struct Codec<UniqueFd, Form::kFileDescriptor> {
  static constexpr size_t kMinimumSize = 8;
  static Status write(Parcel* parcel, const UniqueFd& fd) { return parcel->write_fd(fd.get()); }
  static Status read(const Parcel& parcel, UniqueFd* target) { return internal::take(parcel.read_fd(), target); }
};

// --- Objects ---

template <Form F>
struct Codec<std::shared_ptr<Binder>, F> {
  static constexpr size_t kMinimumSize = 8;
  static Status write(Parcel* parcel, const std::shared_ptr<Binder>& binder) {
    if (!binder && F != Form::kNullable) return Status::from_transport(TransportError::kUnexpectedNull);
    parcel->write_binder(binder);
    return Status::ok();
  }
  static Status read(const Parcel& parcel, std::shared_ptr<Binder>* target) {
    return internal::take(F == Form::kNullable ? parcel.read_nullable_binder() : parcel.read_binder(), target);
  }
};

template <AidlInterface T, Form F>
struct Codec<std::shared_ptr<T>, F> {
  static constexpr size_t kMinimumSize = 8;
  static Status write(Parcel* parcel, const std::shared_ptr<T>& object) {
    return Codec<std::shared_ptr<Binder>, F>::write(parcel, object ? object->as_binder() : nullptr);
  }
  static Status read(const Parcel& parcel, std::shared_ptr<T>* target) {
    std::shared_ptr<Binder> binder;
    ADYTON_RPC_TRY((Codec<std::shared_ptr<Binder>, F>::read(parcel, &binder)));
    target->reset();
    if (!binder) return Status::ok();
    // Asking a remote object would be a call in the middle of one; if it is something else, it refuses our calls by their token.
    if (binder->local() && binder->interface_descriptor() != T::kDescriptor) {
      return Status::from_transport(TransportError::kBadType, "an object of another interface");
    }
    *target = T::from_binder(std::move(binder));
    return *target ? Status::ok() : Status::from_transport(TransportError::kBadType, "an object of another interface");
  }
};

// --- Nullable ones ---

template <typename T, Form F>
struct Codec<std::optional<T>, F> {
  static constexpr Form kInner = internal::kInOptional<F>;
  static constexpr size_t kMinimumSize = 4;
  static Status write(Parcel* parcel, const std::optional<T>& value) { return internal::write_held<T, kInner>(parcel, value); }
  static Status read(const Parcel& parcel, std::optional<T>* target) {
    target->reset();
    const auto null = internal::read_null<T, kInner>(parcel);
    if (!null) return null.error();
    return *null ? Status::ok() : Codec<T, kInner>::read(parcel, &target->emplace());
  }
};

template <typename T, Form F>
struct Codec<std::unique_ptr<T>, F> {
  static constexpr Form kInner = internal::kInOptional<F>;
  static constexpr size_t kMinimumSize = 4;
  static Status write(Parcel* parcel, const std::unique_ptr<T>& value) { return internal::write_held<T, kInner>(parcel, value); }
  static Status read(const Parcel& parcel, std::unique_ptr<T>* target) {
    target->reset();
    const auto null = internal::read_null<T, kInner>(parcel);
    if (!null) return null.error();
    if (*null) return Status::ok();
    *target = std::make_unique<T>();
    return Codec<T, kInner>::read(parcel, target->get());
  }
};

// --- What generated code calls ---

template <typename T>
Status write(Parcel* parcel, const T& value) {
  return Codec<T>::write(parcel, value);
}
template <Form F, typename T>
Status write(Parcel* parcel, Formed<F, T> value) {
  return Codec<std::remove_const_t<T>, F>::write(parcel, *value.value);
}

template <typename T>
Status read(const Parcel& parcel, T* target) {
  return Codec<T>::read(parcel, target);
}
template <Form F, typename T>
Status read(const Parcel& parcel, Formed<F, T> target) {
  return Codec<T, F>::read(parcel, target.value);
}

template <typename... Ts>
Status write_all([[maybe_unused]] Parcel* parcel, const Ts&... values) {
  Status status;
  static_cast<void>(((status = write(parcel, values)).is_ok() && ...));
  return status;
}

// `targets`: pointers, or what nullable() and file_descriptor() make of them.
template <typename... Ts>
Status read_all([[maybe_unused]] const Parcel& parcel, Ts... targets) {
  Status status;
  static_cast<void>(((status = read(parcel, targets)).is_ok() && ...));
  return status;
}

// The size of it all, itself included, and the fields.
template <typename... Ts>
Status write_structured(Parcel* parcel, const Ts&... fields) {
  const size_t start = parcel->write_position();
  parcel->write_int32(0);
  ADYTON_RPC_TRY(write_all(parcel, fields...));
  const size_t size = parcel->write_position() - start;
  if (size > std::numeric_limits<int32_t>::max()) return Status::from_transport(TransportError::kBadValue);
  parcel->overwrite_int32(start, static_cast<int32_t>(size));
  return Status::ok();
}

// Fields that the writer does not know yet keep their values; fields that we do not know yet are skipped.
template <typename... Ts>
Status read_structured(const Parcel& parcel, Ts... targets) {
  const size_t start = parcel.read_position();
  const auto size = parcel.read_int32();
  if (!size) return size.error();
  if (*size < static_cast<int32_t>(sizeof(int32_t)) || static_cast<size_t>(*size) - sizeof(int32_t) > parcel.remaining()) {
    return Status::from_transport(TransportError::kBadValue, "a parcelable is larger than what holds it");
  }
  const size_t end = start + static_cast<size_t>(*size);
  Status status;
  static_cast<void>(
      ((parcel.read_position() < end && (status = read(parcel, targets)).is_ok() && parcel.read_position() <= end) && ...));
  ADYTON_RPC_TRY(status);
  if (parcel.read_position() > end) {
    return Status::from_transport(TransportError::kBadValue, "a field reaches past the end of its parcelable");
  }
  return parcel.set_read_position(end);
}

// The number of the alternative, and its value. For unions whose alternatives all are plain.
template <typename... Ts>
Status write_union(Parcel* parcel, const std::variant<Ts...>& value) {
  parcel->write_int32(static_cast<int32_t>(value.index()));
  return std::visit([parcel](const auto& alternative) { return write(parcel, alternative); }, value);
}

template <typename... Ts>
Status read_union(const Parcel& parcel, std::variant<Ts...>* target) {
  const auto tag = parcel.read_int32();
  if (!tag) return tag.error();
  return [&]<size_t... I>(std::index_sequence<I...>) {
    Status status = Status::from_transport(TransportError::kBadValue, "unknown tag of a union");
    static_cast<void>(
        ((*tag == static_cast<int32_t>(I) && (status = read(parcel, &target->template emplace<I>()), true)) || ...));
    return status;
  }(std::index_sequence_for<Ts...>());
}

// The body of a proxy's method: sends the call, reads the exception, then result and `out` arguments into `targets`.
template <typename... Ts>
Status call(Binder& binder, uint32_t code, const Parcel& arguments, uint32_t flags, Ts... targets) {
  Parcel reply;
  ADYTON_RPC_TRY(binder.transact(code, arguments, &reply, flags));
  if ((flags & kOneway) != 0) return Status::ok();
  auto status = reply.read_status();
  if (!status) return std::move(status).error();
  ADYTON_RPC_TRY(*status);
  return read_all(reply, targets...);
}

// The end of a stub's method: the exception, or none, the result, and the `out` arguments. Written `nullable`:
// write_reply<Form::kNullable>().
template <Form F = Form::kPlain, typename T, typename... Ts>
Status write_reply(Parcel* reply, const Reply<T>& result, const Ts&... out) {
  if (!result) return reply->write_status(result.error());
  ADYTON_RPC_TRY(reply->write_status(Status::ok()));
  if constexpr (!std::is_void_v<T>) ADYTON_RPC_TRY((Codec<T, F>::write(reply, *result)));
  return write_all(reply, out...);
}

}  // namespace adyton::rpc
