// AIDL's ParcelableHolder: the place in a parcelable for another one whose type the interface does not know, as vendors'
// extensions.
//
// In a parcel (AOSP's libs/binder/ParcelableHolder.cpp): int32 stability, int32 size, and that many bytes: the descriptor of what
// is held as a string, and what its write_to() writes. Size 0: nothing is held.
#pragma once
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "rpc/parcel.h"
#include "rpc/parcelable.h"
#include "rpc/status.h"

namespace adyton::rpc {

// What can be held: parcelables and unions that `aidlc --lang=cpp` has generated.
template <typename T>
concept DescribedParcelable = Parcelable<T> && requires {
  { T::kDescriptor } -> std::convertible_to<std::string_view>;
};

// A value: copies share what they hold, which nobody changes in place. For one thread at a time; get() for any number.
class ParcelableHolder {
 public:
  // What a parcelable promises about its layout over time: @VintfStability. A holder takes those that promise as much as it does.
  enum class Stability : int32_t { kLocal = 0, kVintf = 1 };

  ParcelableHolder(Stability stability = Stability::kLocal) : stability_(stability) {}  // NOLINT(google-explicit-constructor)

  // Holds a copy. kBadValue, and nothing changes, if T is less stable than the holder.
  template <DescribedParcelable T>
  Status set(const T& value) {
    if (stability_ > stability_of<T>())
      return Status::from_transport(TransportError::kBadValue, "a holder of stable parcelables only");
    auto contents = std::make_shared<Parcel>();
    ADYTON_RPC_TRY(contents->write_string(T::kDescriptor));
    ADYTON_RPC_TRY(value.write_to(contents.get()));
    contents_ = std::move(contents);
    return Status::ok();
  }

  // None if nothing is held; kBadValue if it is no T.
  template <DescribedParcelable T>
  Reply<std::optional<T>> get() const {
    if (!contents_) return std::nullopt;
    std::optional<T> value(std::in_place);
    const Status status = read_as(T::kDescriptor, [&](const Parcel& parcel) { return value->read_from(parcel); });
    if (!status.is_ok()) return std::unexpected(status);
    return value;
  }

  void reset() { contents_ = nullptr; }
  [[nodiscard]] bool empty() const { return contents_ == nullptr; }
  [[nodiscard]] Stability stability() const { return stability_; }

  Status write_to(Parcel* parcel) const;
  // kBadValue for another stability than the holder's, or a size that is not there; the holder is empty then.
  Status read_from(const Parcel& parcel);
  [[nodiscard]] std::string to_string() const;
  // Whether both hold the same bytes, or the very same value. One with objects or descriptors in it is like its copies only.
  bool operator==(const ParcelableHolder& other) const;

 private:
  template <typename T>
  static constexpr Stability stability_of() {
    if constexpr (requires { T::kStability; }) {
      return T::kStability;
    } else {
      return Stability::kLocal;
    }
  }
  template <typename Read>
  Status read_as(std::string_view descriptor, const Read& read) const {
    // Reading takes descriptors out: from a copy.
    Parcel copy;
    ADYTON_RPC_TRY(copy.append_from(*contents_, 0, contents_->bytes().size()));
    const auto held = copy.read_string();
    if (!held) return held.error();
    if (*held != descriptor) return Status::from_transport(TransportError::kBadValue, "the holder holds a " + *held);
    return read(copy);
  }

  Stability stability_;
  std::shared_ptr<const Parcel> contents_;  // null: nothing
};

}  // namespace adyton::rpc
